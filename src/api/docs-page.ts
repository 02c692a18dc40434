/** A page that lists the API; it loads nothing from anywhere. */
import type { Operation } from './operation.ts';

export function docsPage(operations: Operation[], version: string): string {
  const rows = operations.map(
    ({ method, path, summary }) =>
      `<tr><td><b>${method.toUpperCase()}</b></td><td><code>${escaped(path)}</code></td><td>${escaped(summary)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>claude-agent-server</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark }
td { padding: .3rem 1rem .3rem 0; vertical-align: top } pre { overflow: auto; padding: 1rem; border: 1px solid #8886 }
</style></head><body>
<h1>claude-agent-server ${escaped(version)}</h1>
<p>Every request but <code>GET /health</code> needs <code>Authorization: Bearer KEY</code>.
All of this for machines: <a href="/openapi.json">/openapi.json</a>.</p>
<table>${rows.join('\n')}</table>
<h2>For example</h2>
<pre>curl http://localhost:8000/v1/chat/completions \\
  -H "Authorization: Bearer $API_BEARER_TOKEN" -H "Content-Type: application/json" \\
  -d '{"messages":[{"role":"user","content":"What does this repository do?"}]}'</pre>
<p>For OpenAI clients with streaming the base URL is <code>http://localhost:8000/openai/v1</code>.</p>
</body></html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

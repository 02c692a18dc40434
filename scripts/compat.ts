/**
 * Runs the compatibility tests with each `claude` command that the arguments name, and prints a table. `--write` also
 * writes it into docs/compatibility.md. Without arguments it tests the packaged command.
 */
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findVersion } from '../src/agents/cli-version.ts';
import { hostEnvironment } from '../src/config/config.ts';
import { packagedClaude } from '../tests/support/fake-model-agent.ts';
import { publishTable, tableOf } from './markdown.ts';

const file = fileURLToPath(new URL('../tests/compat/claude-versions.test.ts', import.meta.url));
const commands = process.argv.slice(2).filter((argument) => argument !== '--write');

type Column = { version: string; results: Map<string, 'yes' | 'no'> };
const columns: Column[] = [];

for (const command of commands.length > 0 ? commands : [packagedClaude]) {
  const found = await findVersion(command, hostEnvironment());
  const version = found.state === 'unknown' ? found.said : found.version;
  const results: Column['results'] = new Map();
  console.error(`claude ${version}`);
  for await (const { type, data } of run({
    files: [file],
    env: { ...process.env, CLAUDE_UNDER_TEST: command } as never,
  })) {
    if ((type !== 'test:pass' && type !== 'test:fail') || data.nesting !== 1) continue;
    results.set(data.name, type === 'test:pass' ? 'yes' : 'no');
    const error = type === 'test:fail' ? data.details.error : undefined;
    console.error(
      `  ${type === 'test:pass' ? 'yes' : 'no '} ${data.name}${error ? `: ${String(error.cause ?? error)}` : ''}`,
    );
  }
  columns.push({ version, results });
}

const checks = [...new Set(columns.flatMap(({ results }) => [...results.keys()]))];
const rows = checks.map((check) => [check, ...columns.map(({ results }) => results.get(check) ?? '')]);
const table = tableOf(['check', ...columns.map(({ version }) => version)], rows);
publishTable(table, new URL('../docs/compatibility.md', import.meta.url), 'versions');
process.exitCode = columns.some(({ results }) => [...results.values()].includes('no')) ? 1 : 0;

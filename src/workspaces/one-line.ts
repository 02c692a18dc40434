/** Makes of what git printed one line that a client may read: the cause, without credentials and paths of the host. */
import { redact } from '../redact.ts';

const limit = 300;

export function oneLine(stderr: string): string {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter(Boolean);
  const at = lines.findIndex((line) => /^(fatal|error): /.test(line));
  // What ssh or the remote said stands before git's own summary of it.
  const cause = /Could not read from remote repository/.test(lines[at] ?? '') ? lines[at - 1] : undefined;
  const line = clean((cause ?? lines[at] ?? lines.at(-1) ?? '').replace(/^(fatal|error): /, ''));
  return (line.endsWith(':') ? `${line} ${filesAfter(stderr, line)}` : line).slice(0, limit);
}

/** Git names files on indented lines of their own. */
function filesAfter(stderr: string, line: string): string {
  const rest = stderr.slice(stderr.indexOf(line)).split('\n').slice(1);
  const end = rest.findIndex((file) => !file.startsWith('\t'));
  const files = rest.slice(0, end < 0 ? rest.length : end).map((file) => file.trim());
  return files.length > 3 ? `${files.slice(0, 3).join(', ')} and ${files.length - 3} more` : files.join(', ');
}

export function clean(text: string): string {
  return redact(text, { fileNames: true });
}

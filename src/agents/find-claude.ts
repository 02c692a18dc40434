/** Finds the `claude` command: the packaged command, which the server is tested with, or the operator's choice. */
import { accessSync, constants } from 'node:fs';
import { basename, delimiter, dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ServiceError } from '../errors.ts';

/**
 * Returns the absolute path of the command. Returns undefined if there is no such command.
 * @param configured `CLAUDE_BIN`: a path, or a name to search for on `path`. Undefined for the packaged command.
 */
export function findClaude(configured: string | undefined, path: string | undefined): string | undefined {
  if (configured === undefined) return [packagedClaude()].find(isExecutable);
  if (configured.includes(sep)) return isExecutable(configured) ? resolve(configured) : undefined;
  const folders = (path ?? '').split(delimiter).filter((folder) => folder && !folder.endsWith(npmScriptFolder));
  return folders.map((folder) => join(folder, configured)).find(isExecutable);
}

/**
 * Returns the error for a missing command.
 * @param configured as for `findClaude`
 */
export function missingClaude(configured: string | undefined): ServiceError {
  const what =
    configured === undefined
      ? 'the packaged claude is missing; run npm install'
      : `CLAUDE_BIN=${basename(configured)} was not found`;
  return new ServiceError('agent_not_started', `Cannot start claude: ${what}`);
}

/**
 * npm puts this folder first on PATH. It is not searched, because its packaged `claude` would hide the operator's own.
 */
const npmScriptFolder = join('node_modules', '.bin');

function packagedClaude(): string {
  const manifest = fileURLToPath(import.meta.resolve('@anthropic-ai/claude-code/package.json'));
  return join(dirname(manifest), 'bin', 'claude.exe');
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

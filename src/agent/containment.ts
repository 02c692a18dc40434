/** Ties an agent's life to the server's, and its writing to its workspace, as far as the host has the means. */
import { delimiter } from 'node:path';
import { runCommand } from '../child-process.ts';
import type { Folder } from './agent.ts';

/**
 * `bwrap`: a namespace of its own, whole tree dies with the server, writes only where it may.
 * `pdeathsig`: the kernel sends SIGTERM to the agent when the server dies, and the agent then ends its own children.
 * `none`: an agent with a closed stdin outlives a killed server until the next start finds it by its marker.
 */
export type Containment =
  | { kind: 'bwrap'; writable: string[]; hidden: string[]; programs: string[] }
  | { kind: 'pdeathsig' }
  | { kind: 'none' };

export type SandboxSetting = 'auto' | 'required' | 'off';

/**
 * Tries what the host can do. Throws an Error when `required` cannot be met.
 * @param dataDir holds the key and other runs' work: a sandboxed agent sees nothing of it but its own folder
 */
export async function findContainment(
  sandbox: SandboxSetting,
  host: Record<string, string | undefined>,
  dataDir: string,
): Promise<Containment> {
  const writable = writableFolders(host);
  const programs = (host['PATH'] ?? '').split(delimiter);
  const trial = contain(
    { command: 'true', args: [], folder: { path: '/', reads: [] } },
    { kind: 'bwrap', writable, hidden: [], programs },
  );
  if (sandbox !== 'off' && (await works(trial.command, trial.args, host))) {
    return { kind: 'bwrap', writable, hidden: [dataDir], programs };
  }
  if (sandbox === 'required') {
    throw new Error(
      'Cannot start with SANDBOX=required: bwrap does not work here; install bubblewrap, or allow user namespaces',
    );
  }
  if (await works('setpriv', ['--pdeathsig', 'TERM', '--', 'true'], host)) return { kind: 'pdeathsig' };
  return { kind: 'none' };
}

type Command = { command: string; args: string[]; folder: Folder };

export function contain(
  { command, args, folder }: Command,
  containment: Containment,
): { command: string; args: string[] } {
  switch (containment.kind) {
    case 'bwrap':
      return { command: 'bwrap', args: [...bubble(folder, containment, command), '--', command, ...args] };
    case 'pdeathsig':
      return { command: 'setpriv', args: ['--pdeathsig', 'TERM', '--', command, ...args] };
    case 'none':
      return { command, args };
  }
}

/** Everything else can be read, as without a sandbox; only these folders, the run's own and a private /tmp be written. */
function bubble({ path, reads }: Folder, rules: Extract<Containment, { kind: 'bwrap' }>, command: string): string[] {
  const { writable, hidden, programs } = rules;
  return [
    ...['--die-with-parent', '--unshare-pid', '--new-session'],
    ...['--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc', '--tmpfs', '/tmp'],
    ...inTemporaryFolder([command, ...programs]).flatMap((folder) => ['--ro-bind-try', folder, folder]),
    ...writable.flatMap((folder) => ['--bind-try', folder, folder]),
    ...hidden.flatMap((folder) => ['--tmpfs', folder]),
    ...reads.flatMap((folder) => ['--ro-bind', folder, folder]),
    ...(path === '/' ? [] : ['--bind', path, path]),
    ...['--chdir', path],
  ];
}

/** Whoever installed the agent, or what it runs, below /tmp still has it there: the first folder below, as a whole. */
function inTemporaryFolder(paths: string[]): string[] {
  const below = paths.map((path) => /^\/tmp\/[^/]+/.exec(path)?.[0]).filter((path) => path !== undefined);
  return [...new Set(below)];
}

/** Where Claude Code keeps its login and state; it renews the login while it runs. */
function writableFolders(host: Record<string, string | undefined>): string[] {
  const home = host['HOME'];
  const config = host['CLAUDE_CONFIG_DIR'];
  return [...(config ? [config] : []), ...(home ? [`${home}/.claude`, `${home}/.claude.json`] : [])];
}

async function works(command: string, args: string[], host: Record<string, string | undefined>): Promise<boolean> {
  try {
    const { code } = await runCommand(command, args, { cwd: '/', env: { PATH: host['PATH'] }, timeoutMs: 5000 });
    return code === 0;
  } catch {
    return false;
  }
}

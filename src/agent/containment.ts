/** Ties an agent's life to the server's, and its writing to its workspace, as far as the host has the means. */
import { runCommand } from '../child-process.ts';

/**
 * `bwrap`: a namespace of its own, whole tree dies with the server, writes only where it may.
 * `pdeathsig`: the kernel sends SIGTERM to the agent when the server dies, and the agent then ends its own children.
 * `none`: an agent with a closed stdin outlives a killed server until the next start finds it by its marker.
 */
export type Containment = { kind: 'bwrap'; writable: string[] } | { kind: 'pdeathsig' } | { kind: 'none' };

export type SandboxSetting = 'auto' | 'required' | 'off';

/** Tries what the host can do. Throws an Error when `required` cannot be met. */
export async function findContainment(
  sandbox: SandboxSetting,
  host: Record<string, string | undefined>,
): Promise<Containment> {
  const writable = writableFolders(host);
  if (sandbox !== 'off' && (await works('bwrap', [...bubble('/', []), '--', 'true'], host))) {
    return { kind: 'bwrap', writable };
  }
  if (sandbox === 'required') {
    throw new Error(
      'Cannot start with SANDBOX=required: bwrap does not work here; install bubblewrap, or allow user namespaces',
    );
  }
  if (await works('setpriv', ['--pdeathsig', 'TERM', '--', 'true'], host)) return { kind: 'pdeathsig' };
  return { kind: 'none' };
}

type Command = { command: string; args: string[]; cwd: string };

export function contain(
  { command, args, cwd }: Command,
  containment: Containment,
): { command: string; args: string[] } {
  switch (containment.kind) {
    case 'bwrap':
      return { command: 'bwrap', args: [...bubble(cwd, containment.writable), '--', command, ...args] };
    case 'pdeathsig':
      return { command: 'setpriv', args: ['--pdeathsig', 'TERM', '--', command, ...args] };
    case 'none':
      return { command, args };
  }
}

/** Everything can be read, as without a sandbox; only these folders, the run's own and a private /tmp can be written. */
function bubble(cwd: string, writable: string[]): string[] {
  return [
    ...['--die-with-parent', '--unshare-pid', '--new-session'],
    ...['--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc', '--tmpfs', '/tmp'],
    ...writable.flatMap((path) => ['--bind-try', path, path]),
    ...(cwd === '/' ? [] : ['--bind', cwd, cwd]),
    ...['--chdir', cwd],
  ];
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

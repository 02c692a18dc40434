/** Ties an agent's life to the server's, and its writing to its workspace, as far as the host has the means. */

/**
 * `bwrap`: a namespace of its own, whole tree dies with the server, writes only where it may.
 * `pdeathsig`: the kernel sends SIGTERM to the agent when the server dies, and the agent then ends its own children.
 * `none`: an agent with a closed stdin outlives a killed server until the next start finds it by its marker.
 */
export type Containment = { kind: 'bwrap'; writable: string[] } | { kind: 'pdeathsig' } | { kind: 'none' };

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

function bubble(cwd: string, writable: string[]): string[] {
  return [
    '--die-with-parent',
    '--unshare-pid',
    '--new-session',
    '--ro-bind',
    '/',
    '/',
    '--dev',
    '/dev',
    '--proc',
    '/proc',
    '--tmpfs',
    '/tmp',
    ...writable.flatMap((path) => ['--bind-try', path, path]),
    '--bind',
    cwd,
    cwd,
    '--chdir',
    cwd,
  ];
}

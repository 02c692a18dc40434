/** Finds out how the host can contain agents: end them when the server ends, and keep them in their workspace. */
import { runCommand } from '../../processes/child-process.ts';
import { bubblewrapArguments, hiddenFolders, type UserNamespace } from './bubblewrap.ts';

type Environment = Record<string, string | undefined>;

/**
 * How agents are contained.
 * With `bwrap`, the agent has its own namespaces: its process tree ends with the server, and it sees and writes only
 * the files that `bubblewrap.ts` allows.
 * With `pdeathsig`, the kernel sends SIGTERM to the agent when the server ends, and the agent then ends its own
 * children.
 * With `none`, an agent whose stdin is closed outlives a killed server until the next start finds it by its marker.
 */
export type Containment = { kind: 'bwrap'; users: UserNamespace } | { kind: 'pdeathsig' } | { kind: 'none' };

export type SandboxSetting = 'auto' | 'required' | 'off';

export type FoundContainment = {
  containment: Containment;
  /** A text for people: what is not contained and why, and what helps. Undefined if nothing is missing. */
  missing?: { what: string; remedy: string };
};

/** Tries out how the host can contain agents. Never rejects. */
export async function findContainment(sandbox: SandboxSetting, host: Environment): Promise<FoundContainment> {
  if (sandbox === 'off') {
    const what = 'agents are not contained: SANDBOX=off';
    return { containment: await withoutSandbox(host), missing: { what, remedy: 'set SANDBOX=auto' } };
  }
  const hidden = hiddenFolders(host, []);
  const view = { hidden, readable: [], placed: [], secret: [] };
  for (const users of ['sealed', 'nested', 'host'] as const) {
    if (await works('bwrap', [...bubblewrapArguments(view, users), '--', 'true'], host)) {
      const containment: Containment = { kind: 'bwrap', users };
      return users === 'nested' ? { containment, missing: tooOld } : { containment };
    }
  }
  return { containment: await withoutSandbox(host), missing: await whyNone(host) };
}

const tooOld = {
  what: 'agents are contained, but may make user namespaces: bwrap is older than 0.8',
  remedy: 'install bubblewrap 0.8 or newer',
};

async function whyNone(host: Environment): Promise<{ what: string; remedy: string }> {
  if (process.platform !== 'linux') {
    return {
      what: 'agents are not contained: there is no sandbox for this system',
      remedy: 'run the server on Linux, or set SANDBOX=off',
    };
  }
  const installed = await works('bwrap', ['--version'], host);
  return installed
    ? {
        what: 'agents are not contained: bwrap may not make namespaces here',
        remedy:
          'sudo sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 (those that exist)',
      }
    : { what: 'agents are not contained: bwrap is not installed', remedy: 'sudo apt-get install bubblewrap' };
}

async function withoutSandbox(host: Environment): Promise<Containment> {
  return (await works('setpriv', ['--pdeathsig', 'TERM', '--', 'true'], host))
    ? { kind: 'pdeathsig' }
    : { kind: 'none' };
}

async function works(command: string, args: string[], host: Environment): Promise<boolean> {
  try {
    const { code } = await runCommand(command, args, { cwd: '/', env: { PATH: host['PATH'] }, timeoutMs: 5000 });
    return code === 0;
  } catch {
    return false;
  }
}

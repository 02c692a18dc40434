/** The checks of `doctor`. Each looks at one thing as the server would use it. */
import { access, constants, readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { findContainment } from '../agent/containment.ts';
import { findClaude } from '../agent/find-claude.ts';
import { findSignIn } from '../agent/sign-in.ts';
import { runCommand } from '../child-process.ts';
import type { Config, Environment } from '../config.ts';
import { examineWorkspace } from '../workspace/examine.ts';
import type { Finding } from './doctor.ts';

export async function checkNode(version: string): Promise<Finding> {
  const manifest = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  const floor: string = manifest.engines.node.replace('>=', '');
  if (isAtLeast(version, floor)) return { state: 'ok', what: `Node ${version}` };
  return {
    state: 'failure',
    what: `Node ${version} is older than ${floor}`,
    mend: 'npm install (it brings the Node that npm scripts use), or install a newer Node',
  };
}

export async function checkClaude(config: Config, environment: Environment): Promise<Finding[]> {
  const install = 'npm install --global @anthropic-ai/claude-code, or set CLAUDE_BIN to the command';
  const command = findClaude(config.claudeBin, environment['PATH']);
  if (!command)
    return [{ state: 'failure', what: `${config.claudeBin ?? 'claude'} is not to be found`, mend: install }];
  const version = await printed(command, ['--version'], environment);
  if (!/^\d+\.\d+/.test(version)) {
    return [{ state: 'failure', what: `${command} does not tell its version: ${version}`, mend: install }];
  }
  const { state, how } = await findSignIn({ environment, claudeBin: command, extra: config.agentEnv });
  const signIn = { what: `Claude Code is signed in: ${how}`, mend: `${command} auth login, or set ANTHROPIC_API_KEY` };
  const found: Finding = { state: 'ok', what: `claude ${version} at ${command}` };
  if (state === 'none') return [found, { ...signIn, state: 'failure', what: `Claude Code is not signed in: ${how}` }];
  if (state === 'unknown')
    return [found, { ...signIn, state: 'warning', what: `Signed in or not is not known: ${how}` }];
  return [found, { state: 'ok', what: signIn.what }];
}

export async function checkWorkspace(config: Config, environment: Environment): Promise<Finding> {
  const { workspaceDir: folder, gitSync } = config;
  if (!folder) return { state: 'ok', what: 'No workspace is set: every run gets an empty folder' };
  if (!(await isFolder(folder))) {
    return { state: 'failure', what: `The workspace ${folder} is not a folder`, mend: `git clone URL ${folder}` };
  }
  const found = await examineWorkspace(folder, environment, config.gitSyncTimeoutSeconds * 1000).catch(() => undefined);
  if (!found) return { state: 'failure', what: 'git cannot be started', mend: 'install git' };
  const bad = gitSync === 'required' ? 'failure' : gitSync === 'best-effort' ? 'warning' : 'ok';
  switch (found.kind) {
    case 'reachable':
      return { state: 'ok', what: `The workspace ${folder} follows ${found.upstream}, which answers` };
    case 'unreachable':
      return {
        state: bad,
        what: `The workspace ${folder} follows ${found.upstream}, which cannot be reached: ${found.why}`,
        mend: `git -C ${folder} fetch (it must work without asking for a password), or set GIT_SYNC=off`,
      };
    case 'no_upstream':
      return {
        state: bad,
        what: `The workspace ${folder} is not kept up to date: ${found.why}`,
        mend: `git -C ${folder} push --set-upstream origin HEAD (after "git remote add" if there is none), or set GIT_SYNC=off`,
      };
    case 'folder':
      return {
        state: config.workspaceMode === 'worktree' || gitSync === 'required' ? 'failure' : 'warning',
        what: `The workspace ${folder} is not a git repository: runs share it, one at a time`,
        mend: `git -C ${folder} init`,
      };
  }
}

export async function checkDataDir(folder: string): Promise<Finding> {
  const what = `The data folder ${folder}`;
  const nearest = await nearestExisting(folder);
  if (!(await isFolder(nearest))) {
    return {
      state: 'failure',
      what: `${what} cannot be made: ${nearest} is not a folder`,
      mend: 'set DATA_DIR to another',
    };
  }
  const writable = await access(nearest, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!writable) {
    const mend = `chown $USER ${nearest}, or set DATA_DIR to a folder of yours`;
    return { state: 'failure', what: `${what} cannot be written: no permission for ${nearest}`, mend };
  }
  if (nearest !== folder) return { state: 'ok', what: `${what} will be made on the first start` };
  for (const path of [folder, join(folder, 'api-key')]) {
    const mode = (await stat(path).catch(() => undefined))?.mode ?? 0;
    // On Windows modes say nothing.
    if (process.platform !== 'win32' && mode & 0o077) {
      return {
        state: 'warning',
        what: `${path} can be opened by other users of this machine`,
        mend: `chmod go= ${path}`,
      };
    }
  }
  return { state: 'ok', what: `${what} can be written` };
}

export function checkPort(host: string, port: number): Promise<Finding> {
  const what = `Port ${port} of ${host}`;
  const mends: Record<string, string> = {
    EADDRINUSE: `end the process that has it, or set PORT=${port + 1}`,
    EACCES: 'set PORT to one above 1023',
    EADDRNOTAVAIL: 'set HOST to an address of this machine, such as 127.0.0.1',
    ENOTFOUND: 'set HOST to an address of this machine, such as 127.0.0.1',
  };
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', ({ code = 'unknown error' }: NodeJS.ErrnoException) => {
      const taken = code === 'EADDRINUSE' ? 'is taken' : `cannot be used: ${code}`;
      resolve({ state: 'failure', what: `${what} ${taken}`, mend: mends[code] ?? 'set HOST and PORT to others' });
    });
    probe.listen(port, host, () => probe.close(() => resolve({ state: 'ok', what: `${what} is free` })));
  });
}

export async function checkSandbox(
  { sandbox, agentAccess, dataDir }: Config,
  environment: Environment,
): Promise<Finding> {
  const found = await findContainment(sandbox, environment, dataDir).catch(() => ({ kind: 'unmet' as const }));
  if (found.kind === 'bwrap') return { state: 'ok', what: 'The sandbox works (bwrap)' };
  if (sandbox === 'off' && agentAccess !== 'full') return { state: 'ok', what: 'The sandbox is off, as SANDBOX says' };
  if (sandbox === 'off') {
    const what = 'AGENT_ACCESS=full without a sandbox: an agent may write whatever the server may';
    return { state: 'warning', what, mend: 'set SANDBOX=auto' };
  }
  const version = await printed('bwrap', ['--version'], environment);
  const installed = version.startsWith('bubblewrap');
  return {
    state: found.kind === 'unmet' ? 'failure' : 'warning',
    what: installed
      ? `There is no sandbox: ${version} may not make namespaces here, so agents may write outside their workspace`
      : 'There is no sandbox: bwrap is not installed, so agents may write outside their workspace',
    mend: installed
      ? 'sudo sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 (those that exist), or set SANDBOX=off'
      : 'sudo apt-get install bubblewrap (Linux), or set SANDBOX=off',
  };
}

/** The first line that a command prints, or why there is none. */
async function printed(command: string, args: string[], environment: Environment): Promise<string> {
  try {
    const { stdout, stderr, stopped, code } = await runCommand(command, args, {
      cwd: '/',
      env: { PATH: environment['PATH'], HOME: environment['HOME'] },
      timeoutMs: 10_000,
    });
    if (stopped) return 'no answer within 10 s';
    return `${stdout}${stderr}`.trim().split('\n')[0] || `exit status ${code}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown error';
  }
}

async function nearestExisting(path: string): Promise<string> {
  const exists = await stat(path).then(
    () => true,
    () => false,
  );
  return exists || path === dirname(path) ? path : nearestExisting(dirname(path));
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

function isAtLeast(version: string, floor: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor = 0, leastMinor = 0] = floor.split('.').map(Number);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

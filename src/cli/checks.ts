/** The checks of `doctor`. Each check tries one thing in the same way as the server does. */
import { access, constants, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findVersion, isAtLeast, tooOldMessage } from '../agents/cli-version.ts';
import { findClaude } from '../agents/find-claude.ts';
import { containmentProblem } from '../agents/open-agents.ts';
import { findContainment } from '../agents/sandbox/containment.ts';
import { imported, operatorFolder } from '../agents/sandbox/homes.ts';
import { createRooms } from '../agents/sandbox/rooms.ts';
import { findSignIn, type SignIn } from '../agents/sign-in.ts';
import { apiKeyPath, findApiKey } from '../config/api-key.ts';
import type { Config, Environment } from '../config/config.ts';
import { listenProblem } from '../http/listen-problem.ts';
import { examineWorkspace } from '../workspaces/examine.ts';

export type Finding = {
  /** `failure` means that the server would not work. `warning` means that only part of it would work. */
  state: 'ok' | 'warning' | 'failure';
  /** What was found, as a sentence without a full stop. */
  what: string;
  /** The command or setting that fixes the problem. */
  fix?: string;
};

export async function checkNode(version: string): Promise<Finding> {
  const manifest = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  const floor: string = manifest.engines.node.replace('>=', '');
  if (isAtLeast(version, floor)) return { state: 'ok', what: `Node ${version}` };
  return {
    state: 'failure',
    what: `Node ${version} is older than ${floor}`,
    fix: 'npm install (it brings the Node that npm scripts use), or install a newer Node',
  };
}

export async function checkClaude(config: Config, environment: Environment): Promise<Finding[]> {
  const install = 'npm install (it brings a claude), or set CLAUDE_BIN to the command';
  const command = findClaude(config.claudeBin, environment['PATH']);
  if (!command) return [{ state: 'failure', what: `${config.claudeBin ?? 'claude'} was not found`, fix: install }];
  const version = await findVersion(command, environment);
  if (version.state === 'unknown') {
    return [{ state: 'failure', what: `The version of ${command} is not known: ${version.said}`, fix: install }];
  }
  if (version.state === 'too_old') return [{ state: 'failure', what: tooOldMessage(version.version) }];
  const { state, how } = await signInOf(command, config, environment);
  const signIn = { what: `Claude Code is signed in: ${how}`, fix: `${command} auth login, or set ANTHROPIC_API_KEY` };
  const found: Finding = { state: 'ok', what: `claude ${version.version} at ${command}` };
  if (state === 'none') return [found, { ...signIn, state: 'failure', what: `Claude Code is not signed in: ${how}` }];
  if (state === 'unknown')
    return [found, { ...signIn, state: 'warning', what: `It is not known whether Claude Code is signed in: ${how}` }];
  return [found, { state: 'ok', what: signIn.what }];
}

export async function checkWorkspace(config: Config, environment: Environment): Promise<Finding> {
  const { workspaceDir: folder, gitSync } = config;
  if (!folder) return { state: 'ok', what: 'WORKSPACE_DIR is not set: every run gets an empty folder' };
  if (!(await isFolder(folder))) {
    return { state: 'failure', what: `The workspace ${folder} is not a folder`, fix: `git clone URL ${folder}` };
  }
  const found = await examineWorkspace(folder, environment, config.gitSyncTimeoutSeconds * 1000).catch(() => undefined);
  if (!found) return { state: 'failure', what: 'git cannot be started', fix: 'install git' };
  const bad = gitSync === 'required' ? 'failure' : gitSync === 'best-effort' ? 'warning' : 'ok';
  switch (found.kind) {
    case 'reachable':
      return { state: 'ok', what: `The workspace ${folder} follows ${found.upstream}, which answers` };
    case 'unreachable':
      return {
        state: bad,
        what: `The workspace ${folder} follows ${found.upstream}, which cannot be reached: ${found.why}`,
        fix: `git -C ${folder} fetch (it must work without asking for a password), or set GIT_SYNC=off`,
      };
    case 'no_upstream':
      return {
        state: bad,
        what: `The workspace ${folder} cannot be updated from a remote: ${found.why}`,
        fix: `git -C ${folder} push --set-upstream origin HEAD (after "git remote add" if there is none), or set GIT_SYNC=off`,
      };
    case 'folder':
      return {
        state: config.workspaceMode === 'worktree' || gitSync === 'required' ? 'failure' : 'warning',
        what: `The workspace ${folder} is not a git repository: runs share it and run one at a time`,
        fix: `git -C ${folder} init`,
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
      fix: 'set DATA_DIR to another folder',
    };
  }
  const writable = await access(nearest, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!writable) {
    const fix = `chown $USER ${nearest}, or set DATA_DIR to a folder that you own`;
    return { state: 'failure', what: `${what} cannot be written: no permission for ${nearest}`, fix };
  }
  if (nearest !== folder) return { state: 'ok', what: `${what} will be made on the first start` };
  for (const path of [folder, join(folder, 'api-key'), join(folder, 'callback-secret')]) {
    const mode = (await stat(path).catch(() => undefined))?.mode ?? 0;
    // On Windows the mode does not show who may open a file.
    if (process.platform !== 'win32' && mode & 0o077) {
      return {
        state: 'warning',
        what: `${path} can be opened by other users of this machine`,
        fix: `chmod go= ${path}`,
      };
    }
  }
  return { state: 'ok', what: `${what} can be written` };
}

export async function checkKey({ apiBearerToken, dataDir }: Config): Promise<Finding> {
  if (apiBearerToken === '') {
    const what = 'API_BEARER_TOKEN is empty: every request but /health is refused';
    return { state: 'warning', what, fix: 'set API_BEARER_TOKEN to a key, or unset it' };
  }
  try {
    const key = await findApiKey(apiBearerToken, dataDir);
    if (apiBearerToken !== undefined) return { state: 'ok', what: 'The API key is that of API_BEARER_TOKEN' };
    const kept = `The API key is in ${apiKeyPath(dataDir)}`;
    return { state: 'ok', what: key === undefined ? 'An API key will be made on the first start' : kept };
  } catch (error) {
    const fix = `remove ${apiKeyPath(dataDir)}, and the next start makes a key; or set API_BEARER_TOKEN`;
    return { state: 'failure', what: (error as Error).message, fix };
  }
}

export function checkPort(host: string, port: number): Promise<Finding> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', ({ code }: NodeJS.ErrnoException) => {
      resolve({ state: 'failure', ...listenProblem({ host, port }, code) });
    });
    const free: Finding = { state: 'ok', what: `Port ${port} of ${host} is free` };
    probe.listen(port, host, () => probe.close(() => resolve(free)));
  });
}

export async function checkSandbox(config: Config, environment: Environment): Promise<Finding> {
  const found = await findContainment(config.sandbox, environment);
  const { missing } = found;
  if (!missing) return { state: 'ok', what: `Agents run in a sandbox (${found.containment.kind})` };
  const refused = containmentProblem(config, found) !== undefined;
  if (config.sandbox === 'off' && config.agentAccess !== 'full') {
    return { state: 'ok', what: 'The sandbox is off (SANDBOX=off): agents can read every file that you can read' };
  }
  const full = config.agentAccess === 'full' ? ', and AGENT_ACCESS=full lets them run any command as you' : '';
  return {
    state: refused ? 'failure' : 'warning',
    what: `${missing.what}${full}`,
    fix: refused && config.agentAccess === 'full' ? `${missing.remedy}, or set SANDBOX=off` : missing.remedy,
  };
}

/** Finds out how an agent is signed in. The check runs in a private home folder like that of an agent. */
async function signInOf(claudeBin: string, config: Config, host: Environment): Promise<SignIn> {
  const homesFolder = await mkdtemp(join(tmpdir(), 'claude-agent-server-doctor-'));
  const { containment } = await findContainment(config.sandbox, host);
  const importSettings = config.agentHome === 'import';
  const shared = { containment, host, homesFolder, importSettings, extra: config.agentEnv, reads: config.agentReads };
  const rooms = createRooms({ ...shared, hides: [], onProblem: () => {} });
  try {
    return await findSignIn({ claudeBin, rooms });
  } finally {
    await rooms.idle();
    await rm(homesFolder, { recursive: true, force: true });
  }
}

/**
 * Reports whether agents get the operator's own Claude Code settings. Reports nothing if there are no such settings
 * that agents could get.
 */
export async function checkHome({ agentHome }: Config, host: Environment): Promise<Finding[]> {
  const folder = operatorFolder(host);
  if (agentHome === 'import') return [{ state: 'ok', what: `Agents read your Claude Code settings in ${folder}` }];
  const found = await Promise.all(imported.map(async (name) => ((await exists(join(folder, name))) ? [name] : [])));
  if (found.flat().length === 0) return [];
  const what = `Agents do not get your own Claude Code settings (${found.flat().join(', ')} in ${folder}); with AGENT_HOME=import they get them`;
  return [{ state: 'ok', what }];
}

async function nearestExisting(path: string): Promise<string> {
  return (await exists(path)) || path === dirname(path) ? path : nearestExisting(dirname(path));
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

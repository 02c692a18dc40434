/**
 * Makes the private home folder of an agent, with Claude Code's folder as it is on a new machine. No other agent reads
 * the files that an agent writes there, and the operator's own `claude` does not either. Only the login is shared with
 * the operator.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../../processes/child-process.ts';
import { createCleanup } from '../../processes/cleanup.ts';
import { needsNoLogin } from './providers.ts';

type Environment = Record<string, string | undefined>;
type Json = Record<string, unknown>;

export type Home = {
  /** The home's path on the host. The home contains `.claude` and the agent's other files. */
  path: string;
  /**
   * The operator's own files that the agent sees, each with its path in the home. The agent may write only the login.
   */
  shared: { from: string; at: string; writable: boolean }[];
  /** Removes the home in the background. A second call does nothing. */
  remove(): void;
};

export type Homes = {
  /** Makes the folder of the homes, and removes the homes in it that a dead server left. */
  removeLeftovers(): Promise<void>;
  /**
   * Makes a home.
   * @param files texts for its Claude Code folder, by file name
   */
  make(files: Record<string, string>): Promise<Home>;
  /**
   * Reads the settings that the CLI has written at its first start in this home, and puts them into all later homes,
   * where a start is then a tenth faster. Only for a home in which no agent has run. Never rejects.
   */
  remember(home: Home): Promise<void>;
  /** Settles when no removal is running. Those that have failed are left to the next server. */
  idle(): Promise<void>;
};

export type HomeSettings = {
  /** The folder in which all homes are made. Nothing else uses it. */
  folder: string;
  host: Environment;
  /** Whether agents may read the operator's own Claude Code settings, agents, skills, commands and memory. */
  importSettings: boolean;
  onProblem(what: string, error: unknown): void;
};

/** The name of the file with the operator's MCP servers in an agent's Claude Code folder, if they are imported. */
export const serversName = 'mcp.json';
/** The name of the folder with the login in the home of an agent in a sandbox. */
export const loginFolderName = '.login';
const credentials = '.credentials.json';
const configName = '.claude.json';

/** The parts of the operator's Claude Code folder that agents may read with `AGENT_HOME=import`. */
export const imported = ['settings.json', 'CLAUDE.md', 'agents', 'skills', 'commands', 'output-styles'];

/** The fields of `.claude.json` that tell the CLI that it has been started before. */
const firstSteps = [
  ...['userID', 'machineID', 'firstStartTime', 'firstStartVersion', 'hasCompletedOnboarding'],
  ...['migrationVersion', 'opusProMigrationComplete', 'hasResetAutoModeOptInForDefaultOffer'],
];
/** The fields of the operator's `.claude.json` that contain the login or a Console key. */
const loginFields = ['oauthAccount', 'primaryApiKey', 'customApiKeyResponses'];

const notRemoved = 'the home of an agent could not be removed';

export function createHomes({ folder, host, importSettings, onProblem }: HomeSettings): Homes {
  const operator = operatorFolder(host);
  const locks = join(folder, '.login');
  const shared = (): Home['shared'] => [
    ...(needsNoLogin(host) ? [] : loginIn(host, locks)),
    ...(importSettings ? imported.map((name) => share(operator, name, false)) : []),
  ];
  const cleanup = createCleanup(onProblem);
  const ofGit = gitSettings(host);
  const operatorConfig = createConfigReader(host);
  let known: Json = {};

  return {
    removeLeftovers: () => cleanup.empty(notRemoved, folder),
    async make(files) {
      const path = join(folder, randomUUID());
      const own = join(path, '.claude');
      let removed = false;
      const home: Home = {
        path,
        shared: shared().filter(({ from }) => existsSync(from)),
        remove() {
          if (!removed) void cleanup.remove(notRemoved, path);
          removed = true;
        },
      };
      try {
        await mkdir(own, { recursive: true, mode: 0o700 });
        const [kept, settings] = await Promise.all([keptOf(await operatorConfig(), host, importSettings), ofGit]);
        const config = { ...known, ...kept.config };
        const imports = importSettings ? { [serversName]: kept.mcp } : {};
        const all = { [configName]: JSON.stringify(config), ...imports, ...files };
        await Promise.all([
          writeFile(join(path, '.gitconfig'), settings, { mode: 0o600 }),
          ...Object.entries(all).map(([name, text]) => writeFile(join(own, name), text, { mode: 0o600 })),
        ]);
        return home;
      } catch (error) {
        home.remove();
        throw error;
      }
    },
    async remember({ path }) {
      known = pick(await readJson(join(path, '.claude', configName)), firstSteps);
    },
    idle: () => cleanup.close(),
  };
}

/** Links the operator's files into a home. Used without a sandbox, where nothing can be mounted. */
export async function linkImports({ path, shared }: Home): Promise<void> {
  const readable = shared.filter(({ writable }) => !writable);
  await Promise.all(readable.map(({ from, at }) => symlink(from, join(path, at))));
}

/** Returns the folder of the operator's own Claude Code. */
export function operatorFolder(host: Environment): string {
  return host['CLAUDE_CONFIG_DIR'] || join(host['HOME'] ?? '/', '.claude');
}

/** Returns the folder in which the CLI keeps the login. Measured on 2.1.299 and 2.1.329. */
function loginFolder(host: Environment): string {
  return host['CLAUDE_SECURESTORAGE_CONFIG_DIR'] || operatorFolder(host);
}

/**
 * Returns the variable with which an agent that has its own Claude Code folder finds the operator's login, even if the
 * login is in a keychain.
 */
export function loginVariable(host: Environment): Environment {
  return {
    CLAUDE_SECURESTORAGE_CONFIG_DIR: host['CLAUDE_SECURESTORAGE_CONFIG_DIR'] ?? host['CLAUDE_CONFIG_DIR'] ?? '',
  };
}

/**
 * Returns the file with the login, and the folder around it, which all agents share. The CLI puts its locks into that
 * folder, so two agents that renew the login at the same time do not sign each other out.
 */
function loginIn(host: Environment, locks: string): Home['shared'] {
  const from = join(loginFolder(host), credentials);
  if (!existsSync(from)) return [];
  mkdirSync(locks, { recursive: true, mode: 0o700 });
  return [
    { from: locks, at: loginFolderName, writable: true },
    { from, at: join(loginFolderName, credentials), writable: true },
  ];
}

function share(folder: string, name: string, writable: boolean) {
  return { from: join(folder, name), at: join('.claude', name), writable };
}

/**
 * Returns a function that reads the operator's `.claude.json`. The CLI keeps its history there, so the file may have
 * megabytes, and is read again only after it has changed.
 */
function createConfigReader(host: Environment): () => Promise<Json> {
  const file = join(host['CLAUDE_CONFIG_DIR'] || (host['HOME'] ?? '/'), configName);
  let latest: { changed: number; config: Promise<Json> } | undefined;
  return async () => {
    const changed = (await stat(file).catch(() => undefined))?.mtimeMs ?? 0;
    if (latest?.changed !== changed) latest = { changed, config: readJson(file) };
    return latest.config;
  };
}

function keptOf(all: Json, host: Environment, importSettings: boolean): { config: Json; mcp: string } {
  const mcpServers = (importSettings && all['mcpServers']) || {};
  const fields = needsNoLogin(host) ? firstSteps : [...firstSteps, ...loginFields];
  return { config: pick(all, fields), mcp: JSON.stringify({ mcpServers }) };
}

function pick(all: Json, names: string[]): Json {
  return Object.fromEntries(names.flatMap((name) => (name in all ? [[name, all[name]]] : [])));
}

/** Reads a JSON file. Returns an empty object if there is no such file, or if it contains no object. */
async function readJson(file: string): Promise<Json> {
  const value: unknown = await readFile(file, 'utf8')
    .then(JSON.parse)
    .catch(() => undefined);
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

/**
 * Returns the git settings of an agent: the operator's name and address for its commits, and the permission to use a
 * workspace that belongs to another user than the server's. Never rejects.
 */
async function gitSettings(host: Environment): Promise<string> {
  const options = { cwd: '/', env: { PATH: host['PATH'], HOME: host['HOME'] }, timeoutMs: 10_000 };
  const args = ['config', '--global', '--includes', '-z', '--get-regexp', '^user\\.(name|email)$'];
  const listed = await runCommand('git', args, options).then(
    ({ stdout }) => stdout.toString('utf8'),
    () => '',
  );
  const lines = listed.split('\0').flatMap((entry) => {
    const [, name, value] = /^user\.(name|email)\n([^\n]*)$/.exec(entry) ?? [];
    return name && value ? [`\t${name} = ${JSON.stringify(value)}\n`] : [];
  });
  return `[safe]\n\tdirectory = *\n[user]\n${lines.join('')}`;
}

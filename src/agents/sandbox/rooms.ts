/**
 * Prepares the room in which an agent runs: its own home, its environment variables, and the sandbox if there is one.
 */
import { existsSync, realpathSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Folder } from '../agent.ts';
import {
  bubblewrapArguments,
  coveredBy,
  hiddenFolders,
  homeInside,
  homesOf,
  realFolders,
  type UserNamespace,
  type View,
} from './bubblewrap.ts';
import type { Containment } from './containment.ts';
import { agentEnvironment, certificateFiles, sandboxEnvironment } from './environment.ts';
import { createHomes, type Home, linkImports, loginFolderName, loginVariable } from './homes.ts';
import { providerFiles } from './providers.ts';
import { findToolchain, isBelow } from './toolchain.ts';

type Environment = Record<string, string | undefined>;

export type Room = {
  env: Environment;
  /** Returns the path at which the agent sees a file of its Claude Code folder. */
  fileAt(name: string): string;
  /** Returns the command to start on the host so that the room's command runs in the room with these arguments. */
  enter(args: string[]): { command: string; args: string[] };
  /** Calls `Homes.remember`. Only for a room in which no agent has run. */
  remember(): Promise<void>;
  /** Removes the home. No process of the agent may run any more. */
  leave(): void;
};

export type Rooms = {
  /** Makes the folder of the homes, and removes the homes in it that a dead server left. */
  removeLeftovers(): Promise<void>;
  /**
   * Prepares a room.
   * @param command the absolute path of the command that will run in the room
   * @param folder the folder in which the command works; undefined if it needs no workspace
   * @param files texts for the agent's Claude Code folder, by file name
   */
  prepare(command: string, folder?: Folder, files?: Record<string, string>): Promise<Room>;
  /** Settles when the homes of all rooms that were left are removed. */
  idle(): Promise<void>;
};

export type RoomSettings = {
  containment: Containment;
  host: Environment;
  /** Names of further variables that the agent gets (`AGENT_ENV`). */
  extra: string[];
  /** The folder in which all homes are made. Nothing else uses it. */
  homesFolder: string;
  importSettings: boolean;
  /** Further paths that an agent may read (`AGENT_READS`). */
  reads: string[];
  /**
   * Folders of the server and of the workspaces, which are hidden from agents. An agent sees only its own part of them.
   */
  hides: string[];
  onProblem(what: string, error: unknown): void;
};

export function createRooms(settings: RoomSettings): Rooms {
  const { containment, host, extra, importSettings } = settings;
  const homes = createHomes({ folder: settings.homesFolder, host, importSettings, onProblem: settings.onProblem });
  const allowed = agentEnvironment(host, extra);
  const survey = createSurvey(settings);

  const sandboxed = async (
    home: Home,
    command: string,
    folder: Folder | undefined,
    users: UserNamespace,
  ): Promise<Room> => {
    const { hidden, readable, variables, ofOperator, secret } = survey(command);
    const workFolder = folder && (await realpath(folder.path));
    const objects = await Promise.all((folder?.reads ?? []).map((path) => realpath(path)));
    const view = {
      hidden,
      secret,
      readable: [...readable, ...objects],
      placed: [{ from: home.path, at: homeInside, writable: true }, ...ofOperator, ...home.shared.map(inHome)],
      ...(workFolder === undefined ? {} : { workFolder }),
    };
    const own = join(homeInside, '.claude');
    return {
      env: {
        ...sandboxEnvironment(allowed, extra),
        ...variables,
        HOME: homeInside,
        CLAUDE_CONFIG_DIR: own,
        CLAUDE_SECURESTORAGE_CONFIG_DIR: join(homeInside, loginFolderName),
      },
      fileAt: (name) => join(own, name),
      enter: (args) => ({ command: 'bwrap', args: [...bubblewrapArguments(view, users), '--', command, ...args] }),
      remember: () => homes.remember(home),
      leave: home.remove,
    };
  };

  const open = async (home: Home, kind: 'pdeathsig' | 'none', command: string): Promise<Room> => {
    await linkImports(home);
    const own = join(home.path, '.claude');
    return {
      env: { ...allowed, ...loginVariable(host), CLAUDE_CONFIG_DIR: own, CLAUDE_CODE_TMPDIR: join(home.path, 'tmp') },
      fileAt: (name) => join(own, name),
      enter: (args) =>
        kind === 'none'
          ? { command, args }
          : { command: 'setpriv', args: ['--pdeathsig', 'TERM', '--', command, ...args] },
      remember: () => homes.remember(home),
      leave: home.remove,
    };
  };

  return {
    removeLeftovers: homes.removeLeftovers,
    idle: homes.idle,
    async prepare(command, folder, files = {}) {
      const home = await homes.make(files);
      try {
        return containment.kind === 'bwrap'
          ? await sandboxed(home, command, folder, containment.users)
          : await open(home, containment.kind, command);
      } catch (error) {
        home.remove();
        throw error;
      }
    },
  };
}

type Survey = Pick<View, 'hidden' | 'readable' | 'secret'> & { variables: Environment; ofOperator: View['placed'] };

/**
 * How long the result of a survey of the host is used, in milliseconds. A survey takes some 10 ms, since it examines
 * every folder on PATH.
 */
const surveyMs = 60_000;

/** Returns a function that finds which host files agents see. It finds a newly installed tool at its next survey. */
function createSurvey({ host, hides, reads }: RoomSettings): (command: string) => Survey {
  const hidden = hiddenFolders(host, hides);
  const secret = realFolders(hides);
  const providers = providerFiles(host);
  const home = host['HOME'] ?? '/';
  // Tools search for these paths in `HOME`. That is the home of the agent, so the paths are shown there too.
  const inHostHome = reads.filter((path) => isBelow(path, [home])).map((path) => relative(home, path));
  const surveyNow = (command: string): Survey => {
    const { paths, variables } = findToolchain(command, host, hidden, [...secret, ...homesOf(host)]);
    const readable = coveredBy(hidden, [...paths, ...providers.absolute, ...certificateFiles(host), ...nameServers()]);
    const ofOperator = [...providers.below, ...inHostHome]
      .map((name) => ({ from: join(home, name), at: join(homeInside, name), writable: false }))
      .filter(({ from }) => existsSync(from));
    return { hidden, secret, readable: [...readable, ...reads], variables, ofOperator };
  };
  let latest: { command: string; until: number; survey: Survey } | undefined;
  return (command) => {
    const now = performance.now();
    if (latest?.command !== command || now > latest.until) {
      latest = { command, until: now + surveyMs, survey: surveyNow(command) };
    }
    return latest.survey;
  };
}

function inHome({ from, at, writable }: Home['shared'][number]): View['placed'][number] {
  return { from, at: join(homeInside, at), writable };
}

/** Returns the real path of the file with the name servers. It is often in `/run`, which is hidden. */
function nameServers(): string[] {
  const path = '/etc/resolv.conf';
  return existsSync(path) ? [realpathSync(path)] : [];
}

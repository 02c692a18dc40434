/** The tools of a scenario: servers, the agent without a server, the stub agent, and whether the run is a quick one. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Environment, hostEnvironment } from '../src/config/config.ts';
import { fakeModelEnvironment } from '../src/fake-model/agent-environment.ts';
import { runCommand } from '../src/processes/child-process.ts';
import { Releases } from '../src/releases.ts';
import { end, printed, start } from './child.ts';
import { type Recording, recordAgent, stubFolder } from './recording.ts';
import { type ServerProcess, startServer } from './server-process.ts';

export type Bench = {
  /** The first value in a full run, the second in a quick one: a number of times, or a duration. */
  pick<T>(full: T, quick: T): T;
  /**
   * A server with the real CLI or the stub agent; settings that are not given have their defaults. It is ended after
   * the scenario.
   */
  server(agent: 'claude' | 'stub', settings?: Record<string, string>): Promise<ServerProcess>;
  /** An empty folder. */
  scratch(name: string): string;
  /** Runs `claude -p --output-format json --model haiku` without a server, with stdin closed. Returns its time in ms. */
  bareClaude(prompt: string): Promise<number>;
  /** The output of the stub, and a named pipe through which it can be made to print anything. */
  recording: Recording;
  makePipe(name: string): Promise<string>;
  /** Further releases, to be run after the scenario. */
  releases: Releases;
  /** A line below the table. */
  note(text: string): void;
};

export type Ground = {
  /** A bench for one scenario. */
  forScenario(releases: Releases, note: (text: string) => void): Bench;
  close(): Promise<void>;
};

export type GroundOptions = {
  quick: boolean;
  /** The folder in which servers write a CPU profile when they end. */
  profileFolder: string | undefined;
};

/** The pinned CLI, so that figures of two machines are of the same agent. */
const claude = fileURLToPath(new URL('../node_modules/.bin/claude', import.meta.url));
const stubAgent = fileURLToPath(new URL('processes/stub-agent', import.meta.url));

/** Starts the fake model and makes one home for all agents, so that no agent pays for a new one. */
export async function prepareGround(options: GroundOptions): Promise<Ground> {
  const releases = new Releases();
  const close = () => releases.run();
  try {
    const shared = await prepareShared(releases);
    return {
      close,
      forScenario(scenarioReleases, note) {
        // An interrupt closes the ground in the middle of a scenario.
        releases.push(() => scenarioReleases.run());
        return { ...benchOf(shared, options, scenarioReleases), note };
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

type Shared = { folder: string; home: string; environment: Environment; recording: Recording };

async function prepareShared(releases: Releases): Promise<Shared> {
  const folder = mkdtempSync(join(tmpdir(), 'claude-agent-server-bench-'));
  releases.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const home = join(folder, 'home');
  mkdirSync(home);
  const model = start(process.execPath, [fileURLToPath(new URL('processes/model.ts', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  releases.push(() => end(model));
  const modelUrl = await printed(model, /^listens on (\S+)/);
  const environment = fakeModelEnvironment(modelUrl, home, hostEnvironment());
  return { folder, home, environment, recording: await recordAgent(claude, environment, home) };
}

function benchOf(shared: Shared, { quick, profileFolder }: GroundOptions, releases: Releases): Omit<Bench, 'note'> {
  const { folder, home, environment, recording } = shared;
  const nodeFlags = profileFolder ? ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`] : [];
  const scratch = (name: string) => mkdtempSync(join(folder, `${name}-`));
  return {
    pick: (full, quickly) => (quick ? quickly : full),
    recording,
    releases,
    scratch,
    async server(agent, settings = {}) {
      const stub = { CLAUDE_BIN: stubAgent, AGENT_READS: stubFolder(home) };
      const all = { ...(agent === 'claude' ? { CLAUDE_BIN: claude } : stub), ...settings };
      const server = await startServer({ folder: scratch('server'), environment, settings: all, nodeFlags });
      releases.push(() => server.stop());
      return server;
    },
    async bareClaude(prompt) {
      const began = performance.now();
      const args = ['-p', '--output-format', 'json', '--model', 'haiku', '--', prompt];
      const { code, stderr } = await runCommand(claude, args, { cwd: home, env: environment, timeoutMs: 60_000 });
      if (code !== 0) throw new Error(`claude -p ended with status ${code}: ${stderr.slice(-500)}`);
      return performance.now() - began;
    },
    async makePipe(name) {
      const path = join(stubFolder(home), name);
      await runCommand('mkfifo', [path], { cwd: home, env: environment, timeoutMs: 5000 });
      releases.push(() => rmSync(path, { force: true }));
      return path;
    },
  };
}

/** The composition root: builds every stage once, in order; closes them in reverse. */
import { readFile, realpath } from 'node:fs/promises';
import { type Admission, alreadyAdmitted, createSlots } from './admission/slots.ts';
import { openAgents, requireContainment } from './agents/open-agents.ts';
import { type AgentStart, createPool, type PoolSettings } from './agents/pool/pool.ts';
import type { FoundContainment } from './agents/sandbox/containment.ts';
import { renderJob } from './api/jobs/view.ts';
import { SchemaCheck } from './api/schemas/schema-check.ts';
import { loadApiKey } from './config/api-key.ts';
import type { Config, Environment } from './config/config.ts';
import { asServiceError, ServiceError } from './errors.ts';
import { ownerOfKey } from './http/auth.ts';
import { createServer } from './http/server.ts';
import { createExecuteJob } from './jobs/collect.ts';
import { openJobs } from './jobs/open-jobs.ts';
import { createMarkers } from './processes/orphans.ts';
import { redactValues } from './redact.ts';
import { Releases } from './releases.ts';
import { createRunAnywhere } from './runs/anywhere.ts';
import { type RunOptions, runTask, type Stages } from './runs/execute.ts';
import { lockFolder } from './store/folder-lock.ts';
import type { Outcome, Task } from './task.ts';
import { createTelemetry, type Telemetry } from './telemetry.ts';
import { settledWithin } from './waits.ts';
import { createWorkspaces } from './workspaces/create.ts';

export type Service = {
  /** Where it listens, such as `http://127.0.0.1:8000`. */
  url: string;
  token: string;
  /** The key was made by this start and has not been shown yet. */
  tokenCreated: boolean;
  /** Whether agents run in a sandbox, and what is missing. */
  contained: FoundContainment;
  /** Why it cannot take work; `undefined`: it can, or that cannot be found out. */
  notReady(): Promise<ServiceError | undefined>;
  /**
   * Takes no more work, waits for what runs up to `graceMs`, then ends it. Settles when nothing is left. A second call
   * with a shorter time cuts the first one short.
   */
  close(graceMs?: number): Promise<void>;
};

/** Throws an Error with one line when a setting cannot be met or the port is taken; nothing is left behind then. */
export async function startService(config: Config, environment: Environment): Promise<Service> {
  const releases = new Releases();
  try {
    return await build(config, environment, releases);
  } catch (error) {
    await releases.run().catch(() => {});
    throw error;
  }
}

type PlacedRun = (task: Task, options: RunOptions, admission: Admission) => Promise<Outcome>;

/** The key of the model and other secrets that agents or the server get from the environment. */
function secretsIn(environment: Environment): string[] {
  const isSecret = (name: string) => /(KEY|TOKEN|SECRET|PASSWORD)$/.test(name);
  return Object.entries(environment).flatMap(([name, value]) => (value && isSecret(name) ? [value] : []));
}

/** Of the package that this file is in. */
async function readVersion(): Promise<string> {
  const manifest = await readFile(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

async function build(given: Config, environment: Environment, releases: Releases): Promise<Service> {
  // First of all: what follows clears up after a dead server, and must not meet a living one.
  releases.push(lockFolder(given.dataDir));
  // A sandbox hides and shows folders by their real paths.
  const config = { ...given, dataDir: await realpath(given.dataDir) };
  const key = await loadApiKey(config.apiBearerToken, config.dataDir);
  const keys = [key.token, ...config.apiKeys];
  releases.push(redactValues([...keys, ...secretsIn(environment)]));
  const places = createSlots({
    capacity: config.maxConcurrentRuns,
    maxQueued: config.maxQueuedRuns,
    waitMs: config.queueTimeoutSeconds * 1000,
    jobShare: config.jobShare,
    chatReserved: config.chatReservedSlots,
  });
  const telemetry = createTelemetry(config.logLevel, () => places.counters());
  const contained = await requireContainment(config, environment);
  telemetry.contained(contained);
  const { pool, workspaces, readiness } = await openPool(config, environment, telemetry, contained, releases);
  const run: PlacedRun = (task, options, admission) =>
    recorded({ places: admission, pool, onReleaseFailed: telemetry.releaseFailed }, telemetry, task, options);

  const { jobs, remote } = await openJobs({
    config,
    telemetry,
    keys,
    ...(key.token !== '' && { operator: ownerOfKey(key.token) }),
    places,
    execute: createExecuteJob(run),
    executeChat: (task, tools) => run(task, { ...tools, whenBusy: 'queue' }, alreadyAdmitted),
    render: renderJob,
    forget: (id) => workspaces.forgetPatch(id),
  });
  releases.push(() => jobs.destroy());

  const freeHere = () => config.role !== 'gateway' && places.counters().active < config.maxConcurrentRuns;
  const chat = createRunAnywhere((task, options) => run(task, options, places), freeHere, remote);

  const schemas = new SchemaCheck();
  releases.push(() => schemas.close());

  let stopping = false;
  const notReady = async () => {
    if (stopping) return new ServiceError('shutting_down', 'Cannot take work: the server is stopping');
    return config.role === 'gateway' ? undefined : readiness.check();
  };
  const server = createServer({
    settings: config,
    keys,
    version: await readVersion(),
    run: chat.run,
    schemaProblem: (owner, json, signal) => schemas.problemOf(owner, json, signal),
    jobs,
    state: () => ({ busy: places.counters().active >= places.counters().capacity, ...places.counters() }),
    notReady,
    metrics: telemetry.metrics,
    log: telemetry,
  });
  const url = await server.listen({ host: config.host, port: config.port }).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'EADDRINUSE' ? 'another process has it' : error.code;
    throw new Error(`Cannot listen on HOST=${config.host} PORT=${config.port}: ${why}`, { cause: error });
  });
  telemetry.listening(url);

  const stop = async (): Promise<void> => {
    await server.destroy();
    await releases.run();
    telemetry.stopped();
  };
  let stopped: Promise<void> | undefined;
  return {
    url,
    token: key.token,
    tokenCreated: key.created,
    contained,
    notReady,
    async close(graceMs = config.shutdownGraceSeconds * 1000) {
      stopping = true;
      // Still listening, so that who comes now is told why, instead of finding nobody.
      places.close();
      await settledWithin(Promise.all([places.idle(), chat.drain(), jobs.drain()]), graceMs);
      stopped ??= stop();
      await stopped;
    },
  };
}

/** The workspaces and the agents in them. First it removes what a dead server of the same data folder left behind. */
async function openPool(
  config: Config,
  environment: Environment,
  telemetry: Telemetry,
  contained: FoundContainment,
  releases: Releases,
) {
  const markers = createMarkers(config.dataDir);
  const orphans = await markers.endOrphans();
  if (orphans > 0) telemetry.orphansEnded(orphans);

  const workspaces = await createWorkspaces({
    workspaceDir: config.workspaceDir,
    workspaceMode: config.workspaceMode,
    gitSync: config.gitSync,
    gitSyncTimeoutMs: config.gitSyncTimeoutSeconds * 1000,
    syncFreshMs: config.gitSyncFreshSeconds * 1000,
    preparedWorktrees: config.preparedWorktrees,
    dataDir: config.dataDir,
    environment,
    onSync: telemetry.synced,
    onKept: telemetry.workKept,
    onProblem: telemetry.workspaceProblem,
  });
  releases.push(() => workspaces.close());

  const { agents, readiness } = await openAgents({
    config,
    environment,
    telemetry,
    contained,
    hides: workspaces.hides,
    markerOf: markers.of,
  });
  releases.push(() => agents.destroy());
  releases.push(() => readiness.close());

  const pool = createPool({ workspaces, agents }, poolSettings(config, telemetry));
  releases.push(() => pool.destroy());
  return { pool, workspaces, readiness };
}

function poolSettings(config: Config, telemetry: Telemetry): PoolSettings {
  return {
    prewarmed: {
      count: config.role === 'gateway' ? 0 : config.prewarmedAgents,
      first: { agent: config.chatAgent, budgetUsd: config.chatBudgetUsd },
      model: config.defaultModel,
      maxAgeMs: config.prewarmedMaxAgeSeconds * 1000,
      unusedMs: config.prewarmUnusedSeconds * 1000,
      onFailed: telemetry.prewarmFailed,
    },
    idle: {
      count: config.idleAgents,
      maxIdleMs: config.idleSeconds * 1000,
      reset: config.resetAgents === 'auto' ? config.workspaceDir === undefined : config.resetAgents === 'on',
      maxTurns: config.agentMaxTurns,
    },
  };
}

async function recorded(
  stages: Stages,
  telemetry: ReturnType<typeof createTelemetry>,
  task: Task,
  options: RunOptions,
) {
  const began = performance.now();
  try {
    const onStart = (start: AgentStart) => {
      telemetry.runStarted(task, start);
      options.onStart?.(start);
    };
    const outcome = await runTask(stages, task, { ...options, onStart });
    telemetry.runEnded(task, outcome, performance.now() - began);
    return outcome;
  } catch (thrown) {
    const error = asServiceError(thrown);
    telemetry.runFailed(task, error, performance.now() - began);
    throw error;
  }
}

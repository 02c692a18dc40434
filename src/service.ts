/** The composition root: builds every part of the server once, in order, and closes the parts in reverse order. */
import { realpath } from 'node:fs/promises';
import { createSlots } from './admission/slots.ts';
import { openAgents, requireContainment } from './agents/open-agents.ts';
import { createPool, type PoolSettings } from './agents/pool/pool.ts';
import type { FoundContainment } from './agents/sandbox/containment.ts';
import type { AnyApi } from './api/api.ts';
import { apis as standardApis } from './api/apis.ts';
import { renderJob } from './api/jobs/render-job.ts';
import { createHttpApi } from './api/open-http.ts';
import { SchemaCheck } from './api/schemas/schema-check.ts';
import { loadApiKey } from './config/api-key.ts';
import type { Config, Environment } from './config/config.ts';
import { ServiceError } from './errors.ts';
import { ownerOfKey } from './http/auth.ts';
import type { WorkKind } from './http/health.ts';
import { listenProblem } from './http/listen-problem.ts';
import { openJobs } from './jobs/open-jobs.ts';
import { createMarkers } from './processes/orphans.ts';
import { redactValues } from './redact.ts';
import { Releases } from './releases.ts';
import { chooseMachine } from './runs/choose-machine.ts';
import { execute } from './runs/execute.ts';
import { Repeats } from './runs/repeats.ts';
import { lockFolder } from './store/folder-lock.ts';
import { createTelemetry, type Telemetry } from './telemetry.ts';
import { readVersion } from './version.ts';
import { settledWithin } from './waits.ts';
import { createWorkspaces } from './workspaces/create.ts';

export type Service = {
  /** The URL on which the server listens, such as `http://127.0.0.1:8000`. */
  url: string;
  token: string;
  /** Whether this start made the key, so that the operator has not seen it yet. */
  tokenCreated: boolean;
  /** Whether agents run in a sandbox, and what is missing. */
  contained: FoundContainment;
  /** Returns why the server cannot take work. Returns `undefined` if it can, or if that cannot be found out. */
  notReady(kind?: WorkKind): Promise<ServiceError | undefined>;
  /**
   * Stops the server: takes no more work, waits up to `graceMs` for the current runs, then ends them and releases
   * everything. Settles when nothing is left, or after `releaseMs`: the next start does the rest. A second call with
   * shorter times settles earlier than the first call.
   */
  close(graceMs?: number, releaseMs?: number): Promise<void>;
};

/** How long the server takes at most to release everything after the last run has ended, in milliseconds. */
const usualReleaseMs = 20_000;

/**
 * Starts the server. Throws an Error with one line if a setting cannot be met or the port is taken; nothing is left
 * behind then.
 * @param apis the APIs through which clients ask agents
 */
export async function startService(
  config: Config,
  environment: Environment,
  apis: AnyApi[] = standardApis(config),
): Promise<Service> {
  const releases = new Releases();
  try {
    return await build(config, environment, apis, releases);
  } catch (error) {
    await releases.run().catch(() => {});
    throw error;
  }
}

async function build(given: Config, environment: Environment, apis: AnyApi[], releases: Releases): Promise<Service> {
  // This comes first: the steps below clean up after a dead server, so no other server may be running on this folder.
  releases.push(lockFolder(given.dataDir));
  // The sandbox needs real paths to hide and show folders.
  const config = { ...given, dataDir: await realpath(given.dataDir) };
  const key = await loadApiKey(config.apiBearerToken, config.dataDir);
  const keys = [key.token, ...config.apiKeys];
  releases.push(redactValues([...keys, ...secretsIn(environment)]));
  const operator = key.token === '' ? undefined : ownerOfKey(key.token);
  const slots = createSlots({
    capacity: config.maxConcurrentRuns,
    maxQueued: config.maxQueuedRuns,
    waitMs: config.queueTimeoutSeconds * 1000,
    jobShare: config.jobShare,
    chatReserved: config.chatReservedSlots,
    unqueuedShare: config.v1Share,
  });
  const telemetry = createTelemetry(config.logLevel, () => slots.counters());
  const contained = await requireContainment(config, environment);
  telemetry.contained(contained);
  const { pool, workspaces, readiness } = await openPool(config, environment, telemetry, contained, releases);
  const stages = { pool, observer: telemetry };

  const { jobs, remotely } = await openJobs({
    config,
    telemetry,
    keys,
    ...(operator !== undefined && { operator }),
    slots,
    execute: (task, options) => execute(stages, task, options),
    notReady: () => readiness.check(),
    render: renderJob,
    forget: (runId) => workspaces.forgetPatch(runId),
  });
  releases.push(() => jobs.destroy());
  telemetry.showWaitingJobs(() => jobs.waiting());

  // Without the store no other machine can be asked, so the run waits for a slot of this machine.
  const preferHere = (whenBusy: 'refuse' | 'queue') =>
    config.role !== 'gateway' && (slots.hasFree('chat', whenBusy) || jobs.problems().store !== undefined);
  const chats = chooseMachine(
    (task, { whenBusy, ...options }) =>
      execute(stages, task, { ...options, slot: slots.acquire(task, { signal: options.signal, whenBusy }) }),
    preferHere,
    remotely,
  );
  const repeats = new Repeats({ windowMs: config.repeatWindowSeconds * 1000 });
  const schemas = new SchemaCheck();
  releases.push(() => schemas.close());

  let stopping = false;
  const notReady = async (kind?: WorkKind) => {
    if (stopping) return new ServiceError('shutting_down');
    const { store, held } = jobs.problems();
    const agents = config.role === 'gateway' ? undefined : await readiness.check();
    // A gateway gives every run to the store; other servers need the store only for jobs.
    if (kind === 'chat') return config.role === 'gateway' ? store : agents;
    return agents ?? store ?? (held && new ServiceError('jobs_held', `Cannot start jobs: ${held.message}`));
  };
  const server = createHttpApi({
    settings: config,
    apis,
    keys,
    operator,
    version: await readVersion(),
    run: chats.run,
    repeats,
    // With a store that machines share, another machine may have a free slot.
    refusal: (task, whenBusy) => (remotely ? undefined : slots.refusal(task, whenBusy)),
    schemaProblem: (owner, json, signal) => schemas.problemOf(owner, json, signal),
    jobs,
    // A gateway has no workspace: the workers do the jobs.
    undeliverable: async () => (config.role === 'gateway' ? undefined : workspaces.undeliverable()),
    async state() {
      const { active, queued, capacity } = slots.counters();
      return { busy: active >= capacity, active, queued, capacity, jobs_waiting: (await jobs.waiting()) ?? null };
    },
    notReady,
    metrics: telemetry.metrics,
    log: telemetry,
  });
  const url = await server.listen({ host: config.host, port: config.port }).catch((error: NodeJS.ErrnoException) => {
    const { what, fix } = listenProblem(config, error.code);
    throw new Error(`Cannot listen: ${what}. To fix it: ${fix}`, { cause: error });
  });
  telemetry.listening(url);

  const stop = async (): Promise<void> => {
    await repeats.stopAll();
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
    async close(graceMs = config.shutdownGraceSeconds * 1000, releaseMs = usualReleaseMs) {
      stopping = true;
      // The server still listens, so that new requests get an error that names the reason.
      slots.close();
      await settledWithin(Promise.all([slots.idle(), chats.drain(), jobs.drain()]), graceMs);
      stopped ??= stop();
      await settledWithin(stopped, releaseMs);
    },
  };
}

/**
 * Opens the workspaces and the agents in them. First it ends and removes what a dead server on the same data folder
 * left behind.
 */
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

/** Returns the model's key and the other secrets in the environment. */
function secretsIn(environment: Environment): string[] {
  const isSecret = (name: string) => /(KEY|TOKEN|SECRET|PASSWORD)$/.test(name);
  return Object.entries(environment).flatMap(([name, value]) => (value && isSecret(name) ? [value] : []));
}

/** The composition root: builds every stage once, in order; closes them in reverse. */
import { mkdir } from 'node:fs/promises';
import { createAgents } from './agent/agents.ts';
import { findContainment } from './agent/containment.ts';
import { findClaude } from './agent/find-claude.ts';
import { loadApiKey } from './api-key.ts';
import type { Config, Environment } from './config.ts';
import { asServiceError, ServiceError } from './errors.ts';
import { createServer } from './http/server.ts';
import { createMarkers } from './leftovers.ts';
import { createPlaces } from './queue/places.ts';
import { Releases } from './releases.ts';
import { type RunOptions, runTask, type Stages } from './run-task.ts';
import type { Task } from './task.ts';
import { createTelemetry } from './telemetry.ts';
import { createWorkspaces } from './workspace/create.ts';

export type Service = {
  /** Where it listens, such as `http://127.0.0.1:8000`. */
  url: string;
  token: string;
  /** The key was made by this start and has not been shown yet. */
  tokenCreated: boolean;
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

async function build(config: Config, environment: Environment, releases: Releases): Promise<Service> {
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
  const key = await loadApiKey(config.apiBearerToken, config.dataDir);
  const places = createPlaces({
    capacity: config.maxConcurrentRuns,
    maxQueued: config.maxQueuedRuns,
    waitMs: config.queueTimeoutSeconds * 1000,
    jobShare: config.jobShare,
    chatReserved: config.chatReservedPlaces,
  });
  const telemetry = createTelemetry(config.logLevel, () => places.counters());

  const markers = createMarkers(config.dataDir);
  const leftovers = await markers.endLeftovers();
  if (leftovers > 0) telemetry.leftoversEnded(leftovers);

  const workspaces = await createWorkspaces({
    workspaceDir: config.workspaceDir,
    workspaceMode: config.workspaceMode,
    gitSync: config.gitSync,
    gitSyncTimeoutMs: config.gitSyncTimeoutSeconds * 1000,
    dataDir: config.dataDir,
    environment,
    onSync: telemetry.synced,
  });
  releases.push(() => workspaces.close());

  const agents = createAgents({
    findClaude: () => findClaude(config.claudeBin, environment['PATH']),
    access: config.agentAccess,
    containment: await findContainment(config.sandbox, environment),
    environment,
    extraEnvironment: config.agentEnv,
    markerOf: markers.of,
    onUnknown: telemetry.unknownAgentMessage,
  });
  releases.push(() => agents.destroy());

  const stages: Stages = { places, workspaces, agents, onReleaseFailed: telemetry.releaseFailed };
  const server = await createServer({
    config,
    token: key.token,
    telemetry,
    run: (task, options) => recorded(stages, telemetry, task, options),
    counters: () => places.counters(),
  });
  const url = await server.listen();
  telemetry.listening(url);

  let closing: Promise<void> | undefined;
  return {
    url,
    token: key.token,
    tokenCreated: key.created,
    async close(graceMs = config.shutdownGraceSeconds * 1000) {
      places.close();
      server.refuseNew();
      await settledWithin(places.idle(), graceMs);
      server.abortRuns(new ServiceError('shutting_down', 'The run was ended: the server is stopping'));
      closing ??= server
        .close()
        .then(() => releases.run())
        .then(telemetry.stopped);
      await closing;
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
    const onStart = () => {
      telemetry.runStarted(task);
      options.onStart?.();
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

async function settledWithin(promise: Promise<unknown>, ms: number): Promise<void> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}

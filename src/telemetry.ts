/** Every log line and every metric: one function for each event of the server. */
import { pino } from 'pino';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { FoundContainment } from './agents/sandbox/containment.ts';
import type { ServiceError } from './errors.ts';
import type { Answered } from './http/server.ts';
import { withoutSecrets } from './redact.ts';
import type { JobRecord, WebhookReport } from './store/job.ts';
import type { AgentStart, Outcome, SyncReport, Task } from './task.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export type Telemetry = ReturnType<typeof createTelemetry>;

/** Log lines are JSON on standard error. Prompts, answers and keys are never logged. */
export function createTelemetry(level: LogLevel, gauges: () => { active: number; queued: number; capacity: number }) {
  const output = pino.destination(2);
  // A client may send a key anywhere, such as in a path.
  const redacted = { write: (line: string) => void output.write(withoutSecrets(line)) };
  const log = pino({ level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime }, redacted);
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const metrics = createMetrics(registry, gauges);

  const countSpent = (models: Outcome['models']) => {
    for (const [model, usage] of Object.entries(models)) {
      metrics.cost.inc({ model }, usage.costUsd);
      metrics.tokens.inc({ model, kind: 'input' }, usage.inputTokens);
      metrics.tokens.inc({ model, kind: 'cache_read' }, usage.cacheReadTokens);
      metrics.tokens.inc({ model, kind: 'cache_write' }, usage.cacheWriteTokens);
      metrics.tokens.inc({ model, kind: 'output' }, usage.outputTokens);
    }
  };

  return {
    listening: (url: string) => log.info({ url }, 'listening'),
    stopped: () => log.info('stopped'),

    answered: (entry: Answered) => {
      const { method, status, error, durationMs } = entry;
      metrics.requests.inc({ method, status });
      if (error) metrics.errors.inc({ code: error });
      log.info({ ...entry, durationMs: Math.round(durationMs) }, 'answered');
    },
    fault: (entry: { requestId: string; error: unknown }) =>
      log.error({ requestId: entry.requestId, err: entry.error }, 'internal error'),

    runStarted: (task: Task, start: AgentStart) =>
      log.info(
        { run: task.id, kind: task.kind, model: task.model, agent: task.agent, owner: task.owner, start },
        'run started',
      ),
    runEnded: (task: Task, outcome: Outcome, ms: number) => {
      metrics.runs.inc({ kind: task.kind, outcome: 'completed' });
      metrics.runSeconds.observe({ kind: task.kind }, ms / 1000);
      countSpent(outcome.models);
      log.info({ run: task.id, ms: Math.round(ms), costUsd: outcome.costUsd, turns: outcome.turns }, 'run completed');
    },
    runFailed: (task: Task, error: ServiceError, ms: number) => {
      metrics.runs.inc({ kind: task.kind, outcome: error.code });
      metrics.runSeconds.observe({ kind: task.kind }, ms / 1000);
      const { exitCode, stderr, spent } = error.extra;
      countSpent(spent?.models ?? {});
      const facts = { run: task.id, ms: Math.round(ms), code: error.code, reason: error.message };
      const fields = { ...facts, exitCode, stderr, costUsd: spent?.costUsd };
      const ours = error.code === 'internal' || error.code === 'agent_not_started';
      log.warn(ours ? { ...fields, err: error.cause } : fields, 'run failed');
    },
    prewarmFailed: (error: unknown, failures: number) =>
      log.warn(
        { reason: (error as Error).message, failures, err: (error as Error).cause },
        'could not prewarm an agent',
      ),
    releaseFailed: (task: Task, error: unknown) =>
      log.error({ run: task.id, err: error }, 'a workspace, an agent or a slot could not be released'),
    synced: (report: SyncReport, ms: number) => {
      metrics.syncs.inc({ state: report.state });
      if (report.state === 'failed') log.warn({ ...report, ms: Math.round(ms) }, 'workspace sync failed');
      else log.debug({ ...report, ms: Math.round(ms) }, 'workspace sync');
    },
    workKept: (run: string, patch: { path: string; bytes: number }) =>
      log.warn({ run, ...patch }, 'work that was not collected is kept as a patch'),
    workspaceProblem: (what: string, error: unknown) => log.warn({ what, err: error }, 'a problem with a workspace'),
    /** Outages are not logged here, since each attempt during an outage fails. */
    storeError: (error: unknown) => {
      if ((error as Partial<ServiceError>).code === 'store_unavailable') return;
      log.error({ err: error }, 'an error of the job store; the operation is retried');
    },
    storeFailed: (error: ServiceError) => {
      metrics.storeUp.set(0);
      log.error({ reason: error.message, err: error.cause }, 'the job store cannot be used');
    },
    storeWorks: (ms: number) => {
      metrics.storeUp.set(1);
      log.info({ ms: Math.round(ms) }, 'the job store can be used again');
    },
    jobsHeld: ({ code, message }: ServiceError) => {
      metrics.jobsHeld.reset();
      metrics.jobsHeld.set({ code }, 1);
      log.error({ code, reason: message }, 'jobs wait until the cause of an error is gone');
    },
    jobsFreed: (ms: number) => {
      metrics.jobsHeld.reset();
      log.info({ ms: Math.round(ms) }, 'jobs start again');
    },
    jobsRecovered: (count: number) => log.warn({ count }, 'recovered jobs of a server or worker that is gone'),
    webhookSent: (job: JobRecord, report: WebhookReport) => {
      if (report.state === 'delivered') log.info({ job: job.id, ...report }, 'webhook delivered');
      else log.warn({ job: job.id, ...report }, 'webhook not delivered');
    },
    unknownAgentMessage: (type: string) => {
      metrics.unknownMessages.inc({ type });
      log.debug({ type }, 'the agent sent a message of an unknown type');
    },
    homeProblem: (what: string, error: unknown) =>
      log.warn({ what, err: error }, 'a problem with the home of an agent'),
    contained: ({ containment, missing }: FoundContainment) => {
      const facts = { sandbox: containment.kind };
      if (missing) log.warn({ ...facts, ...missing }, 'agents are not fully contained');
      else log.info(facts, 'agents are contained');
    },
    orphansEnded: (count: number) => log.warn({ count }, 'ended orphaned processes of a dead server'),
    agentForced: (run: string) => log.warn({ run }, 'an agent ignored SIGTERM and was ended with SIGKILL'),

    /** Adds the number of waiting jobs to the metrics. `count` returns undefined if it is not known. */
    showWaitingJobs: (count: () => Promise<number | undefined>) => {
      new Gauge({
        name: 'agent_jobs_waiting',
        help: 'Jobs that wait for a slot, on all machines. NaN if the job store does not answer.',
        registers: [registry],
        async collect() {
          this.set((await count()) ?? Number.NaN);
        },
      });
    },

    /** Returns all metrics in the text format of Prometheus, with the content type of that format. */
    metrics: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

function createMetrics(registry: Registry, state: () => { active: number; queued: number; capacity: number }) {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge('agent_runs_active', 'Runs that have a slot.', () => state().active);
  gauge('agent_runs_queued', 'Requests that wait for a slot.', () => state().queued);
  gauge('agent_slots', 'How many runs there may be at once.', () => state().capacity);
  const storeUp = new Gauge({ name: 'job_store_up', help: '1 while the job store can be used, else 0.', registers });
  storeUp.set(1);
  return {
    storeUp,
    requests: new Counter({
      name: 'http_requests_total',
      help: 'Answered requests.',
      labelNames: ['method', 'status'],
      registers,
    }),
    errors: new Counter({ name: 'http_errors_total', help: 'Error answers by code.', labelNames: ['code'], registers }),
    jobsHeld: new Gauge({
      name: 'agent_jobs_held',
      help: '1 while no job starts until the cause of an error is gone, with the code of the error.',
      labelNames: ['code'],
      registers,
    }),
    runs: new Counter({
      name: 'agent_runs_total',
      help: 'Ended runs by outcome.',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    runSeconds: new Histogram({
      name: 'agent_run_seconds',
      help: 'Seconds from the request for a slot to the end of a run; for a job from its claim.',
      labelNames: ['kind'],
      buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 2700],
      registers,
    }),
    cost: new Counter({
      name: 'agent_cost_usd_total',
      help: 'What runs cost, as the CLI reports it.',
      labelNames: ['model'],
      registers,
    }),
    tokens: new Counter({
      name: 'agent_tokens_total',
      help: 'Tokens, as the CLI reports them.',
      labelNames: ['model', 'kind'],
      registers,
    }),
    syncs: new Counter({
      name: 'workspace_syncs_total',
      help: 'Workspace syncs by result.',
      labelNames: ['state'],
      registers,
    }),
    unknownMessages: new Counter({
      name: 'agent_unknown_messages_total',
      help: 'Messages of the CLI of a type that is not known.',
      labelNames: ['type'],
      registers,
    }),
  };
}

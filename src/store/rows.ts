/** Converts jobs and their events from and to database rows. */
import type { Row, Value } from './database.ts';
import type { JobEnd, JobRecord, JobSpec, JobState, JobSummary, Setbacks, StoredEvent } from './job.ts';
import { eventFrom } from './stored-names.ts';
import type { Claim, RunKind } from './stored-run.ts';

/** The fields of a job's request that are stored together in the column `spec`, as JSON. */
type StoredSpec = Omit<JobSpec, 'prompt' | 'owner' | 'agent' | 'priority' | 'idempotencyKey'>;

/** The fields of a job's end that are stored together in the column `ending`, as JSON. */
type StoredEnding = Omit<JobEnd, 'state' | 'output' | 'stderr' | 'result' | 'workspace'> & Pick<JobRecord, 'workspace'>;

/**
 * Returns the JSON of the setbacks of a job that waits again. It is in the column `ending` until the job ends. The
 * end replaces it.
 */
export function storedSetbacks({ emptyAttempts, waitingFor, notBefore }: Setbacks): string {
  return JSON.stringify({ emptyAttempts, waitingFor, notBefore });
}

const listedPromptLength = 200;

const facts = [
  'id',
  'state',
  'owner',
  'agent',
  'priority',
  'attempt',
  'last_seq',
  'created_at',
  'started_at',
  'finished_at',
  'cancel_requested_at',
  'idempotency_key',
  'callback',
  'spec',
  'ending',
];

export const summaryColumns = [...facts, `substr(prompt, 1, ${listedPromptLength}) AS prompt`].join(', ');

export const recordColumns = [...facts, 'prompt', 'output', 'stderr', 'result'].join(', ');

export function toRecord(row: Row): JobRecord {
  return {
    ...toSummary(row),
    output: text(row['output']),
    stderr: text(row['stderr']),
    ...optional('result', row['result']),
  };
}

export function toSummary(row: Row): JobSummary {
  return {
    id: text(row['id']),
    state: row['state'] as JobState,
    owner: text(row['owner']),
    prompt: text(row['prompt']),
    priority: Number(row['priority']),
    attempt: Number(row['attempt']),
    lastSeq: Number(row['last_seq']),
    createdAt: Number(row['created_at']),
    ...optional('agent', row['agent']),
    ...optional('startedAt', row['started_at']),
    ...optional('finishedAt', row['finished_at']),
    ...optional('cancelRequestedAt', row['cancel_requested_at']),
    ...optional('idempotencyKey', row['idempotency_key']),
    ...optional('callback', row['callback'] && JSON.parse(text(row['callback']))),
    ...(JSON.parse(text(row['spec'])) as StoredSpec),
    ...(JSON.parse(text(row['ending'] ?? '{}')) as StoredEnding | Setbacks),
  };
}

export function storedSpec(spec: JobSpec): string {
  const { prompt: _, owner: _owner, agent: _agent, priority: _priority, idempotencyKey: _key, ...rest } = spec;
  return JSON.stringify(rest satisfies StoredSpec);
}

export function storedEnding(end: JobEnd): string {
  const { state: _, output: _output, stderr: _stderr, result: _result, workspace, ...rest } = end;
  if (!workspace) return JSON.stringify(rest satisfies StoredEnding);
  const { patch: _patch, ...work } = workspace;
  return JSON.stringify({ ...rest, workspace: work } satisfies StoredEnding);
}

export function toEvent(row: Row): StoredEvent {
  return { seq: Number(row['seq']), at: Number(row['at']), ...eventFrom(text(row['body'])) };
}

export function toLost(row: Row): Claim & { kind: RunKind } {
  return { id: text(row['id']), attempt: Number(row['attempt']), kind: row['kind'] as RunKind };
}

function text(value: Value | undefined): string {
  return String(value ?? '');
}

/** Returns an object with the field, or an empty object if the field's column is null. */
function optional(name: keyof JobRecord, value: unknown): Partial<JobRecord> {
  return value === null || value === undefined ? {} : { [name]: value };
}

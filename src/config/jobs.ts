/** Settings of jobs. */
import { choice, decimal, flag, integer, optionalInteger, optionalText } from './setting.ts';

export const jobsSettings = {
  jobAgent: optionalText('JOB_AGENT', 'The Claude Code agent definition for jobs that name none.'),
  jobBudgetUsd: decimal('JOB_BUDGET_USD', 5, [0.01, 10_000], 'What a job may spend that says nothing else.'),
  maxBudgetUsd: decimal(
    'MAX_BUDGET_USD',
    100,
    [0.01, 10_000],
    'The highest budget that a job may ask for, and the bound of `JOB_BUDGET_USD` and `CHAT_BUDGET_USD`.',
  ),
  jobTimeoutSeconds: decimal(
    'JOB_TIMEOUT_SECONDS',
    2700,
    [0.1, 82_800],
    'How long a job may run that says nothing else.',
  ),
  jobStallSeconds: decimal(
    'JOB_STALL_SECONDS',
    600,
    [0, 604_800],
    'How long the agent of a job may be silent before it counts as stalled; 0: no limit.',
  ),
  jobWaitSeconds: decimal(
    'JOB_WAIT_SECONDS',
    86_400,
    [0, 31_536_000],
    'How long a job may wait for a place that says nothing else; 0: no limit.',
  ),
  maxWaitingJobs: integer('MAX_WAITING_JOBS', 1000, [0, 1_000_000], 'How many jobs may wait; more are answered 429.'),
  maxWaitingJobsPerKey: integer(
    'MAX_WAITING_JOBS_PER_KEY',
    200,
    [1, 1_000_000],
    'How many jobs of one key may wait; `API_BEARER_TOKEN` is exempt.',
  ),
  reservedWaitingJobs: optionalInteger(
    'RESERVED_WAITING_JOBS',
    [0, 1_000_000],
    'How many of `MAX_WAITING_JOBS` only `API_BEARER_TOKEN` may take.',
    { shownDefault: '5 % of `MAX_WAITING_JOBS`, at most 50' },
  ),
  onInterrupt: choice(
    'ON_INTERRUPT',
    'mark',
    ['mark', 'requeue'],
    'What becomes of a job whose server went away while it ran, unless the job says: `mark` ends it as `interrupted`, `requeue` lets it wait again.',
  ),
  maxJobAttempts: integer('MAX_JOB_ATTEMPTS', 3, [1, 100], 'How many times one job may be started.'),
  jobTtlHours: decimal('JOB_TTL_HOURS', 72, [0.001, 87_600], 'How long a finished job is kept.'),
  maxJobsKept: integer(
    'MAX_JOBS_KEPT',
    10_000,
    [1, 10_000_000],
    'How many finished jobs are kept; the oldest go first.',
  ),
  maxJobsBytes: integer(
    'MAX_JOBS_BYTES',
    1_073_741_824,
    [1_048_576, 1_099_511_627_776],
    'How much the finished jobs may take with their events and patches; the oldest go first.',
  ),
  maxJobEvents: integer('MAX_JOB_EVENTS', 10_000, [10, 1_000_000], 'How many events of one job are recorded.'),
  maxJobEventBytes: integer(
    'MAX_JOB_EVENT_BYTES',
    4_194_304,
    [10_000, 1_073_741_824],
    'How much the recorded events of one job may take.',
  ),
  callbackSecret: optionalText(
    'CALLBACK_SECRET',
    'The root of the secrets that sign callbacks, of at least 24 bytes; each key has a secret derived from it. Unset: one is made, and kept in `DATA_DIR` or in the database.',
    { secret: true, shownDefault: 'made on first start' },
  ),
  callbackAllowPrivate: flag(
    'CALLBACK_ALLOW_PRIVATE',
    false,
    'Let callbacks go to loopback, private and link-local addresses.',
  ),
};

/** Settings of jobs. */
import { choice, decimal, flag, integer, optionalInteger, optionalText } from './setting.ts';

export const jobsSettings = {
  jobAgent: optionalText('JOB_AGENT', 'The Claude Code agent definition of a job that names none.'),
  jobBudgetUsd: decimal('JOB_BUDGET_USD', 5, [0.01, 10_000], 'The budget of a job that sets none, in US dollars.'),
  maxBudgetUsd: decimal(
    'MAX_BUDGET_USD',
    100,
    [0.01, 10_000],
    'The highest budget that a job may set. It also limits `JOB_BUDGET_USD` and `CHAT_BUDGET_USD`.',
  ),
  jobTimeoutSeconds: decimal('JOB_TIMEOUT_SECONDS', 2700, [0.1, 82_800], 'How long a job may run that sets no limit.'),
  jobStallSeconds: decimal(
    'JOB_STALL_SECONDS',
    600,
    [0, 82_800],
    'How long the agent of a job may be silent before the job ends as stalled; 0: no limit.',
  ),
  jobWaitSeconds: decimal(
    'JOB_WAIT_SECONDS',
    86_400,
    [0, 31_536_000],
    'How long a job that sets no limit may wait for a slot; 0: no limit.',
  ),
  maxWaitingJobs: integer(
    'MAX_WAITING_JOBS',
    1000,
    [0, 1_000_000],
    'How many jobs may wait for a slot. A further job gets the error 429.',
  ),
  maxWaitingJobsPerKey: integer(
    'MAX_WAITING_JOBS_PER_KEY',
    200,
    [1, 1_000_000],
    'How many jobs of one key may wait. It does not limit `API_BEARER_TOKEN`.',
  ),
  reservedWaitingJobs: optionalInteger(
    'RESERVED_WAITING_JOBS',
    [0, 1_000_000],
    'How many of the `MAX_WAITING_JOBS` are reserved for `API_BEARER_TOKEN`.',
    { shownDefault: '5 % of `MAX_WAITING_JOBS`, at most 50' },
  ),
  onInterrupt: choice(
    'ON_INTERRUPT',
    'mark',
    ['mark', 'requeue'],
    'What happens to a job that is interrupted because its server ended, unless the job sets it. `mark`: it ends as `interrupted`. `requeue`: it waits for another attempt.',
  ),
  maxJobAttempts: integer(
    'MAX_JOB_ATTEMPTS',
    3,
    [1, 100],
    'How many times one job may be started. Starts that fail before the agent begins to work do not count.',
  ),
  jobTtlHours: decimal('JOB_TTL_HOURS', 72, [0.001, 87_600], 'How long a finished job is kept.'),
  maxJobsKept: integer(
    'MAX_JOBS_KEPT',
    10_000,
    [1, 10_000_000],
    'How many finished jobs are kept. The oldest are removed first.',
  ),
  maxJobsBytes: integer(
    'MAX_JOBS_BYTES',
    1_073_741_824,
    [1_048_576, 1_099_511_627_776],
    'How many bytes the finished jobs may take with their events and patches. The oldest are removed first.',
  ),
  maxJobEvents: integer('MAX_JOB_EVENTS', 10_000, [10, 1_000_000], 'How many events of one job are recorded.'),
  maxJobEventBytes: integer(
    'MAX_JOB_EVENT_BYTES',
    4_194_304,
    [10_000, 1_073_741_824],
    'How many bytes the recorded events of one job may take.',
  ),
  callbackSecret: optionalText(
    'CALLBACK_SECRET',
    'The root of the secrets that sign webhooks, at least 24 bytes. Each key has a secret that is derived from it. Unset: one is made, and kept in `DATA_DIR` or in the database.',
    { shownDefault: 'made on first start' },
  ),
  callbackAllowPrivate: flag(
    'CALLBACK_ALLOW_PRIVATE',
    false,
    'Let webhooks (`callback_url`) go to loopback, private and link-local addresses.',
  ),
};

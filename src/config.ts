/** The table of settings. The only reader of the environment; documentation and flags come from the same table. */
import { availableParallelism, homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { choice, decimal, flag, integer, list, optionalText, pairs, type Setting, text } from './setting.ts';

const dataFolder = join(process.env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'claude-agent-server');

export const settings = {
  apiBearerToken: optionalText(
    'API_BEARER_TOKEN',
    'The key that clients send. Unset: one is made on the first start, kept in `DATA_DIR` and printed once. Set but empty: nothing is open.',
    { secret: true, shownDefault: 'made on first start' },
  ),
  host: text('HOST', '127.0.0.1', 'Address to listen on.'),
  port: integer('PORT', 8000, [0, 65535], 'Port to listen on; 0 takes a free one.'),
  dataDir: text('DATA_DIR', dataFolder, 'Jobs, worktrees and the key live here.', { shownDefault: 'XDG data folder' }),
  workspaceDir: optionalText(
    'WORKSPACE_DIR',
    'The git repository that the agent works in. Unset: an empty scratch folder per run.',
  ),
  workspaceMode: choice(
    'WORKSPACE_MODE',
    'auto',
    ['auto', 'worktree', 'shared'],
    '`worktree`: a fresh git worktree per run; `shared`: in place, one run at a time; `auto`: `worktree` in a git repository, else `shared`.',
  ),
  gitSync: choice(
    'GIT_SYNC',
    'best-effort',
    ['best-effort', 'required', 'off'],
    'Bring the workspace up to date before a run; `required`: no sync, no run.',
  ),
  gitSyncTimeoutSeconds: decimal('GIT_SYNC_TIMEOUT_SECONDS', 30, [1, 3600], 'Deadline of one sync.'),
  claudeBin: optionalText('CLAUDE_BIN', "The agent's command. Unset: `claude` on PATH, else the packaged one.", {
    shownDefault: '`claude` on PATH',
  }),
  agentAccess: choice(
    'AGENT_ACCESS',
    'edit',
    ['read', 'edit', 'full'],
    '`read`: looks only; `edit`: also edits files in its workspace; `full`: runs any command without asking (use a sandbox).',
  ),
  agentEnv: list(
    'AGENT_ENV',
    [],
    'Names of further environment variables that the agent may see; everything not on the allow-list is withheld.',
  ),
  sandbox: choice(
    'SANDBOX',
    'auto',
    ['auto', 'required', 'off'],
    'Run the agent inside bubblewrap: it writes only in its workspace and ends with the server. `auto`: where `bwrap` works.',
  ),
  models: list('MODELS', ['haiku', 'sonnet', 'opus'], 'The models served, by the names that `claude --model` takes.'),
  defaultModel: text('DEFAULT_MODEL', 'sonnet', 'Used when a request names none.'),
  modelAliases: pairs('MODEL_ALIASES', 'Other names for the models, as `gpt-4o=sonnet,gpt-4o-mini=haiku`.'),
  maxConcurrentRuns: integer(
    'MAX_CONCURRENT_RUNS',
    Math.max(2, availableParallelism()),
    [1, 1024],
    'Places: how many agents run at once.',
    { shownDefault: 'max(2, cores)' },
  ),
  maxQueuedRuns: integer('MAX_QUEUED_RUNS', 32, [0, 100_000], 'How many requests may wait for a place.'),
  queueTimeoutSeconds: decimal(
    'QUEUE_TIMEOUT_SECONDS',
    120,
    [0.1, 86_400],
    'How long a chat request waits for a place before 503.',
  ),
  chatAgent: optionalText('CHAT_AGENT', 'The Claude Code agent definition that serves chat.'),
  chatBudgetUsd: decimal('CHAT_BUDGET_USD', 2, [0.01, 10_000], 'What one chat request may spend.'),
  chatTimeoutSeconds: decimal('CHAT_TIMEOUT_SECONDS', 900, [0.1, 86_400], 'How long one chat run may take.'),
  v1Dialect: choice(
    'V1_DIALECT',
    'contract',
    ['contract', 'openai'],
    'What `/v1` speaks; `/openai/v1` always speaks OpenAI.',
  ),
  bodyLimitBytes: integer('BODY_LIMIT_BYTES', 10_485_760, [1024, 1_073_741_824], 'The largest request body.'),
  jsonAnswerSeconds: decimal(
    'JSON_ANSWER_SECONDS',
    290,
    [0.1, 86_400],
    'How long an answer that is not streamed may take; clients on Node drop a silent request after 300 s and send it again.',
  ),
  streamKeepAlive: choice(
    'STREAM_KEEP_ALIVE',
    'chunk',
    ['chunk', 'comment', 'off'],
    'What is sent while a streamed answer is silent.',
  ),
  streamKeepAliveSeconds: decimal('STREAM_KEEP_ALIVE_SECONDS', 15, [0.05, 3600], 'How often that is.'),
  slowReaderSeconds: decimal('SLOW_READER_SECONDS', 60, [0.1, 3600], 'How long a client may leave its stream unread.'),
  clientGraceSeconds: decimal(
    'CLIENT_GRACE_SECONDS',
    2.5,
    [0, 3600],
    'How long an agent goes on after its client has gone, for a repeat of the request to join.',
  ),
  repeatWindowSeconds: decimal(
    'REPEAT_WINDOW_SECONDS',
    120,
    [0, 86_400],
    'How long a failed run answers repeats of its request, and a finished one those with its `Idempotency-Key`.',
  ),
  ignoredParams: choice(
    'IGNORED_PARAMS',
    'accept',
    ['accept', 'reject'],
    'Request fields that have no effect here: named in `x-ignored-params`, or refused.',
  ),
  corsOrigins: list('CORS_ORIGINS', [], 'Origins whose pages may call this server, exactly as a browser sends them.'),
  shutdownGraceSeconds: decimal(
    'SHUTDOWN_GRACE_SECONDS',
    30,
    [0, 86_400],
    'How long runs may finish after the first SIGTERM or SIGINT; a second signal ends them at once.',
  ),
  warmAgents: integer('WARM_AGENTS', 1, [0, 256], 'Agent processes kept ready for the OpenAI door.'),
  databaseUrl: optionalText(
    'DATABASE_URL',
    'PostgreSQL for several machines; unset: an embedded store in `DATA_DIR`.',
    { secret: true, shownDefault: 'embedded' },
  ),
  jobShare: decimal(
    'JOB_SHARE',
    0.5,
    [0, 1],
    'The part of the places that jobs get while chat waits too; whatever one leaves free the other uses.',
  ),
  chatReservedPlaces: integer(
    'CHAT_RESERVED_PLACES',
    0,
    [0, 1023],
    'Places that jobs never take, so that chat need not wait for a long job to end.',
  ),
  jobAgent: optionalText('JOB_AGENT', 'The Claude Code agent definition for jobs that name none.'),
  jobBudgetUsd: decimal('JOB_BUDGET_USD', 5, [0.01, 10_000], 'What a job may spend that says nothing else.'),
  jobTimeoutSeconds: decimal(
    'JOB_TIMEOUT_SECONDS',
    2700,
    [0.1, 604_800],
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
  callbackSecret: optionalText('CALLBACK_SECRET', 'Signs the callbacks of jobs. Unset: the API key does.', {
    secret: true,
    shownDefault: 'the API key',
  }),
  callbackAllowPrivate: flag(
    'CALLBACK_ALLOW_PRIVATE',
    false,
    'Let callbacks go to loopback, private and link-local addresses.',
  ),
  role: choice(
    'ROLE',
    'all',
    ['all', 'gateway', 'worker'],
    'With `DATABASE_URL`: `gateway` answers requests and runs nothing, `worker` runs what gateways took, `all` does both.',
  ),
  workerTimeoutSeconds: decimal(
    'WORKER_TIMEOUT_SECONDS',
    30,
    [10, 3600],
    'With `DATABASE_URL`: after how long a silent worker counts as gone.',
  ),
  logLevel: choice(
    'LOG_LEVEL',
    'info',
    ['debug', 'info', 'warn', 'error', 'silent'],
    'How much is logged, as JSON lines on stderr.',
  ),
} satisfies Record<string, Setting<unknown>>;

export type Config = { -readonly [Name in keyof typeof settings]: ReturnType<(typeof settings)[Name]['parse']> };

/** The agent inherits from this, and only what its allow-list names. */
export type Environment = Record<string, string | undefined>;

/**
 * Reads every setting; a flag wins over the environment. Throws an Error whose message lists every problem, one a line.
 * @param flags arguments such as `--port 8001` or `--port=8001`
 */
export function loadConfig(flags: string[] = [], environment: Environment = process.env): Config {
  const problems: string[] = [];
  const given = readFlags(flags, problems);
  const entries = Object.entries(settings).map(([key, setting]) => {
    try {
      return [key, setting.parse(given.get(setting.name) ?? environment[setting.name])];
    } catch (error) {
      problems.push((error as Error).message);
      return [key, undefined];
    }
  });
  const config = Object.fromEntries(entries) as Config;
  // Set but empty closes the door; unset makes a key. `parse` cannot tell the two apart.
  if (given.get('API_BEARER_TOKEN') === '' || environment['API_BEARER_TOKEN'] === '') config.apiBearerToken = '';
  if (problems.length === 0) checkTogether(config, problems);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  config.dataDir = resolve(config.dataDir);
  if (config.workspaceDir) config.workspaceDir = resolve(config.workspaceDir);
  return config;
}

/** The process's environment, for the stages that compose their children's from an allow-list. */
export function hostEnvironment(): Environment {
  return process.env;
}

function readFlags(flags: string[], problems: string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (let at = 0; at < flags.length; at += 1) {
    const [head = '', ...rest] = (flags[at] ?? '').split('=');
    const name = head.replace(/^--/, '').replaceAll('-', '_').toUpperCase();
    if (!head.startsWith('--') || !Object.values(settings).some((setting) => setting.name === name)) {
      problems.push(`Cannot use "${head}": no such setting; --help lists them`);
    } else if (rest.length > 0) {
      given.set(name, rest.join('='));
    } else {
      at += 1;
      if (flags[at] === undefined) problems.push(`Cannot use ${head}: it needs a value`);
      else given.set(name, flags[at] ?? '');
    }
  }
  return given;
}

function checkTogether(config: Config, problems: string[]): void {
  if (!config.models.includes(config.defaultModel)) {
    problems.push(`Cannot use DEFAULT_MODEL="${config.defaultModel}": MODELS has ${config.models.join(', ')}`);
  }
  for (const [alias, model] of Object.entries(config.modelAliases)) {
    if (!config.models.includes(model)) {
      problems.push(`Cannot use MODEL_ALIASES ${alias}=${model}: MODELS has ${config.models.join(', ')}`);
    }
  }
  if (config.role !== 'all' && !config.databaseUrl) {
    problems.push(`Cannot use ROLE=${config.role}: DATABASE_URL is not set, so there is no other machine`);
  }
  if (config.workspaceMode !== 'auto' && !config.workspaceDir) {
    problems.push(`Cannot use WORKSPACE_MODE=${config.workspaceMode}: WORKSPACE_DIR is not set`);
  }
}

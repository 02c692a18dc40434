/** Settings of the agents: the command, what it may do, how many run at once, and how many are prewarmed or kept idle. */
import { availableParallelism } from 'node:os';
import { choice, decimal, flag, integer, list, optionalText, pairs, text } from './setting.ts';

export const agentSettings = {
  claudeBin: optionalText(
    'CLAUDE_BIN',
    'The `claude` to run instead of the packaged one: a path, or a name on PATH. It must be version 2.1.299 or newer.',
    { shownDefault: 'the packaged one' },
  ),
  agentAccess: choice(
    'AGENT_ACCESS',
    'edit',
    ['read', 'edit', 'full'],
    'What an agent may do. `read`: it only reads; `edit`: it also edits files in its workspace; `full`: it runs any command without asking, and without a sandbox only if `SANDBOX=off`.',
  ),
  agentEnv: list(
    'AGENT_ENV',
    [],
    'Names of further environment variables that the agent gets; all others that are not on the allow-list are withheld.',
  ),
  agentReads: list(
    'AGENT_READS',
    [],
    'Further files and folders that an agent in a sandbox may read, such as a toolchain or `~/.npmrc`, as absolute paths. Those in your home are also in the home of the agent.',
  ),
  agentHome: choice(
    'AGENT_HOME',
    'private',
    ['private', 'import'],
    "Every agent has a home of its own, which is removed when it ends. `import`: agents also read the operator's own Claude Code settings, agents, skills, commands, MCP servers and CLAUDE.md.",
  ),
  trustWorkspace: flag(
    'TRUST_WORKSPACE',
    false,
    'Let the configuration in the workspace apply to its agents: its settings, hooks, helpers, variables and MCP servers then run on this machine with your key. Off: agents get only its CLAUDE.md and its agent definitions.',
  ),
  sandbox: choice(
    'SANDBOX',
    'auto',
    ['auto', 'required', 'off'],
    'Run agents in a sandbox (bubblewrap): an agent writes only in its workspace, does not see your home, and ends with the server. `auto`: use it where `bwrap` works, and refuse to start with `AGENT_ACCESS=full` where it does not. `required`: refuse to start where it does not work.',
  ),
  models: list(
    'MODELS',
    ['haiku', 'sonnet', 'opus'],
    'The models that the server offers, by the names that `claude --model` takes.',
  ),
  defaultModel: text('DEFAULT_MODEL', 'sonnet', 'The model of a request that names none.'),
  modelAliases: pairs('MODEL_ALIASES', 'Other names for the models, such as `gpt-4o=sonnet,gpt-4o-mini=haiku`.'),
  maxConcurrentRuns: integer(
    'MAX_CONCURRENT_RUNS',
    Math.max(2, availableParallelism()),
    [1, 1024],
    'The number of slots: how many agents may run at once.',
    { shownDefault: 'max(2, cores)' },
  ),
  maxQueuedRuns: integer('MAX_QUEUED_RUNS', 32, [0, 100_000], 'How many requests may wait for a slot.'),
  queueTimeoutSeconds: decimal(
    'QUEUE_TIMEOUT_SECONDS',
    120,
    [0.1, 86_400],
    'How long a chat request may wait for a slot before it gets the error 503.',
  ),
  jobShare: decimal(
    'JOB_SHARE',
    0.5,
    [0, 1],
    'The part of the slots that jobs get while chat requests wait too. Each may use the free slots of the other.',
  ),
  v1Share: decimal(
    'V1_SHARE',
    0.25,
    [0, 0.5],
    'The part of the released slots that is held free for `/v1` for up to a second, while other requests wait and `/v1` had to refuse requests. Requests to `/v1` do not wait, so without it they would never get a slot then. With 0 none is held.',
  ),
  chatReservedSlots: integer(
    'CHAT_RESERVED_SLOTS',
    0,
    [0, 1023],
    'Slots that jobs never get, so that chat need not wait until a long job ends.',
  ),
  prewarmedAgents: integer(
    'PREWARMED_AGENTS',
    1,
    [0, 256],
    'How many agents are started ahead, for the OpenAI API and for jobs.',
  ),
  prewarmedMaxAgeSeconds: decimal(
    'PREWARMED_MAX_AGE_SECONDS',
    1800,
    [1, 86_400],
    'How long a prewarmed agent waits for a run before it is replaced.',
  ),
  prewarmUnusedSeconds: decimal(
    'PREWARM_UNUSED_SECONDS',
    900,
    [1, 31_536_000],
    'After this time without a request no agent is prewarmed.',
  ),
  idleAgents: integer(
    'IDLE_AGENTS',
    2,
    [0, 256],
    'How many agents are kept after a request to the OpenAI API, so that a follow-up continues in the same process.',
  ),
  idleSeconds: decimal('IDLE_SECONDS', 120, [0.1, 86_400], 'How long an idle agent is kept.'),
  resetAgents: choice(
    'RESET_AGENTS',
    'auto',
    ['auto', 'on', 'off'],
    'Whether an idle agent that used no tool may be reset with `/clear` to serve a new conversation of the same key. `auto`: only without a workspace.',
  ),
  chatModelRetries: integer(
    'CHAT_MODEL_RETRIES',
    3,
    [0, 15],
    'How often an agent repeats a failed request to the model in a chat: after a rate limit, an overload or a lost connection. A refused credential is tried once more at most.',
  ),
  jobModelRetries: integer(
    'JOB_MODEL_RETRIES',
    10,
    [0, 15],
    'The same in a job. The pauses double; 10 retries take some minutes.',
  ),
  agentMaxTurns: integer('AGENT_MAX_TURNS', 20, [1, 10_000], 'How many turns an agent serves before it ends.'),
};

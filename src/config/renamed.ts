/** Names that settings had in earlier versions. Such a setting must not be ignored silently. */
const newNames: Record<string, string> = {
  WARM_AGENTS: 'PREWARMED_AGENTS',
  WARM_MAX_AGE_SECONDS: 'PREWARMED_MAX_AGE_SECONDS',
  WARM_IDLE_SECONDS: 'PREWARM_UNUSED_SECONDS',
  RESTING_AGENTS: 'IDLE_AGENTS',
  REST_SECONDS: 'IDLE_SECONDS',
  RECYCLE_AGENTS: 'RESET_AGENTS',
  RECYCLE_MAX_TURNS: 'AGENT_MAX_TURNS',
  SPARE_WORKTREES: 'PREPARED_WORKTREES',
  CHAT_RESERVED_PLACES: 'CHAT_RESERVED_SLOTS',
  V1_DIALECT: 'V1_API',
};

/** The old names. */
export const renamed = Object.keys(newNames);

/** Returns why a setting cannot be used. Returns `undefined` if it is not an old name. */
export function renamedProblem(name: string): string | undefined {
  const now = newNames[name];
  if (!now) return undefined;
  const values = name === 'V1_DIALECT' ? ', and its value `contract` is now `native`' : '';
  return `Cannot use ${name}: its name is now ${now}${values}`;
}

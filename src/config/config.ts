/** Reads all settings from flags and the environment. No other file reads the environment. */
import { isAbsolute, join, resolve } from 'node:path';
import { nearestName } from '../nearest.ts';
import { agentSettings } from './agent-settings.ts';
import { apiKeyProblem } from './api-key.ts';
import { callbackSecretProblem } from './callback-secret.ts';
import { chatSettings } from './chat-settings.ts';
import { jobsSettings } from './job-settings.ts';
import { meantSetting } from './misspelt.ts';
import { renamed, renamedProblem } from './renamed.ts';
import { serverSettings } from './server-settings.ts';
import type { Setting } from './setting.ts';
import { workspaceSettings } from './workspace-settings.ts';

/** The table of all settings. Flags, help and documentation are made from it. */
export const settings = {
  ...serverSettings,
  ...agentSettings,
  ...workspaceSettings,
  ...chatSettings,
  ...jobsSettings,
} satisfies Record<string, Setting<unknown>>;

export type Config = { -readonly [Name in keyof typeof settings]: ReturnType<(typeof settings)[Name]['parse']> };

/** Environment variables by name. An agent inherits only the variables on its allow-list. */
export type Environment = Record<string, string | undefined>;

/**
 * Reads all settings. A flag takes precedence over the environment. Throws an Error whose message lists every problem,
 * one per line.
 * @param flags arguments such as `--port 8001` or `--port=8001`
 * @param others further flags of the command, which an error may suggest
 */
export function loadConfig(
  flags: string[] = [],
  environment: Environment = process.env,
  others: string[] = [],
): Config {
  const problems: string[] = [];
  const given = readFlags(flags, problems, others);
  for (const name of renamed.filter((each) => environment[each])) problems.push(renamedProblem(name) as string);
  problems.push(...misspeltIn(environment));
  const entries = Object.entries(settings).map(([key, setting]) => {
    try {
      return [key, setting.parse(given.get(setting.name) ?? environment[setting.name])];
    } catch (error) {
      problems.push((error as Error).message);
      return [key, undefined];
    }
  });
  const config = Object.fromEntries(entries) as Config;
  // An empty key makes the server refuse all requests, and an unset key makes it create one. `parse` cannot tell these
  // two cases apart.
  config.apiBearerToken = (given.get('API_BEARER_TOKEN') ?? environment['API_BEARER_TOKEN'])?.trim();
  // A default budget is lowered to the maximum that the operator has set. A budget that the operator has set is not
  // lowered.
  const isGiven = (name: string) => given.has(name) || Boolean(environment[name]);
  if (!isGiven('CHAT_BUDGET_USD')) config.chatBudgetUsd = Math.min(config.chatBudgetUsd, config.maxBudgetUsd);
  if (!isGiven('JOB_BUDGET_USD')) config.jobBudgetUsd = Math.min(config.jobBudgetUsd, config.maxBudgetUsd);
  checkNames(config, problems);
  if (problems.length === 0) checkTogether(config, problems);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const xdg = environment['XDG_DATA_HOME'];
  if (xdg && !given.has('DATA_DIR') && !environment['DATA_DIR']) config.dataDir = join(xdg, 'claude-agent-server');
  config.dataDir = resolve(config.dataDir);
  if (config.workspaceDir) config.workspaceDir = resolve(config.workspaceDir);
  return config;
}

/** The names of all settings. */
const names = Object.values(settings).map(({ name }) => name);

function misspeltIn(environment: Environment): string[] {
  return Object.keys(environment)
    .filter((name) => environment[name] && !renamed.includes(name))
    .flatMap((name) => {
      const meant = meantSetting(name, names);
      return meant ? [`Cannot use ${name}: there is no such setting; did you mean ${meant}?`] : [];
    });
}

/** Returns the environment of this process, from which the environments of agents and tools are made. */
export function hostEnvironment(): Environment {
  return process.env;
}

function readFlags(flags: string[], problems: string[], others: string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (let at = 0; at < flags.length; at += 1) {
    const [head = '', ...rest] = (flags[at] ?? '').split('=');
    const name = head.replace(/^--/, '').replaceAll('-', '_').toUpperCase();
    if (!head.startsWith('--') || !names.includes(name)) {
      problems.push(renamedProblem(name) ?? `Cannot use "${head}": there is no such setting${hintFor(head, others)}`);
      // What follows is probably the value of this flag.
      if (head.startsWith('--') && rest.length === 0 && !flags[at + 1]?.startsWith('--')) at += 1;
    } else if (rest.length > 0) {
      given.set(name, rest.join('='));
    } else {
      at += 1;
      if (flags[at] === undefined) problems.push(`Cannot use ${head}: it has no value`);
      else given.set(name, flags[at] ?? '');
    }
  }
  return given;
}

function hintFor(flag: string, others: string[]): string {
  const near = nearestName(flag, [...names.map(flagOf), ...others]);
  return near ? `; did you mean ${near}?` : '; --help lists them';
}

/** Returns the flag of a setting, such as `--max-concurrent-runs`. */
export function flagOf(name: string): string {
  return `--${name.toLowerCase().replaceAll('_', '-')}`;
}

/** Checks lists and keys, which can be parsed whatever they contain. */
function checkNames(config: Config, problems: string[]): void {
  problems.push(...keyProblems(config));
  for (const origin of config.corsOrigins.filter(
    (each) => !/^[a-z][a-z0-9+.-]*:\/\/[\x21-\x2e\x30-\x7e]+$/i.test(each),
  )) {
    problems.push(`Cannot use CORS_ORIGINS="${origin}": it is not an origin such as https://chat.example`);
  }
  for (const host of config.allowedHosts.filter((each) => !/^(\*|[\w.-]+|\[[\da-f:]+\])(:\d+)?$/i.test(each))) {
    problems.push(`Cannot use ALLOWED_HOSTS="${host}": it is not the name of a host such as agents.example`);
  }
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
  if (config.chatReservedSlots >= config.maxConcurrentRuns) {
    const left = `of MAX_CONCURRENT_RUNS=${config.maxConcurrentRuns} slots none is left for jobs`;
    problems.push(`Cannot use CHAT_RESERVED_SLOTS=${config.chatReservedSlots}: ${left}`);
  }
  for (const [name, budget] of [
    ['CHAT_BUDGET_USD', config.chatBudgetUsd],
    ['JOB_BUDGET_USD', config.jobBudgetUsd],
  ]) {
    if (Number(budget) <= config.maxBudgetUsd) continue;
    problems.push(`Cannot use ${name}=${budget}: it is above MAX_BUDGET_USD=${config.maxBudgetUsd}`);
  }
  const { maxWaitingJobs, reservedWaitingJobs = 0 } = config;
  if (maxWaitingJobs > 0 && reservedWaitingJobs >= maxWaitingJobs) {
    const left = `of MAX_WAITING_JOBS=${maxWaitingJobs} none is left for other keys`;
    problems.push(`Cannot use RESERVED_WAITING_JOBS=${reservedWaitingJobs}: ${left}`);
  }
  const secretProblem = config.callbackSecret && callbackSecretProblem(config.callbackSecret, keysOf(config));
  if (secretProblem) problems.push(secretProblem);
  if (config.role !== 'all' && !config.databaseUrl) {
    problems.push(`Cannot use ROLE=${config.role}: DATABASE_URL is not set, so there is no other machine`);
  }
  for (const path of config.agentReads.filter((each) => !isAbsolute(each))) {
    problems.push(`Cannot use AGENT_READS="${path}": it is not an absolute path`);
  }
  if (config.workspaceMode !== 'auto' && !config.workspaceDir) {
    problems.push(`Cannot use WORKSPACE_MODE=${config.workspaceMode}: WORKSPACE_DIR is not set`);
  }
}

/** Returns what is wrong with the keys, without the keys. */
function keyProblems({ apiBearerToken, apiKeys }: Config): string[] {
  const all = [
    ...(apiBearerToken ? [['API_BEARER_TOKEN', apiBearerToken]] : []),
    ...apiKeys.map((key) => ['API_KEYS', key]),
  ];
  return all.flatMap(([name = '', key = '']) => {
    const problem = apiKeyProblem(key);
    return problem ? [`Cannot use ${name}: ${problem}`] : [];
  });
}

/**
 * Returns the API keys in the settings. A key that was made at the first start is not in the settings but in the data
 * folder.
 */
function keysOf({ apiBearerToken, apiKeys }: Config): string[] {
  return [apiBearerToken ?? '', ...apiKeys];
}

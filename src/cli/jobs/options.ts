/** The options of `jobs`: the server, the key, and the fields of a new job. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import type { JobBody } from '../../api/jobs/read-job-request.ts';
import { apiKeyProblem, findApiKey } from '../../config/api-key.ts';
import { type Config, loadConfig } from '../../config/config.ts';
import { suggestionFor } from '../../nearest.ts';
import { CommandFailure, exitStatus } from './exit-status.ts';
import { createJobClient, type JobClient } from './job-client.ts';

export const serverOptions = { url: { type: 'string' }, key: { type: 'string' } } satisfies ParseArgsOptionsConfig;

/** How a field of a job is given on the command line, and what `--help` says about it. */
type JobFlag = { flag: string; value: string; reads: 'text' | 'number' | 'json'; about: string };

/** The flag of each field of a job. The prompt has none, because it is the argument. */
export const jobFlags: Record<Exclude<keyof JobBody, 'prompt'>, JobFlag> = {
  agent: { flag: 'agent', value: 'NAME', reads: 'text', about: 'the Claude Code agent definition' },
  model: { flag: 'model', value: 'NAME', reads: 'text', about: 'haiku, sonnet, opus or another model of the server' },
  effort: { flag: 'effort', value: 'LEVEL', reads: 'text', about: 'low, medium, high, xhigh or max' },
  max_budget_usd: { flag: 'budget', value: 'USD', reads: 'number', about: 'its budget' },
  timeout_seconds: { flag: 'timeout', value: 'SECONDS', reads: 'number', about: 'how long it may run' },
  stall_seconds: { flag: 'stall', value: 'SECONDS', reads: 'number', about: 'how long its agent may be silent' },
  wait_seconds: { flag: 'max-wait', value: 'SECONDS', reads: 'number', about: 'how long it may wait for a slot' },
  priority: {
    flag: 'priority',
    value: 'NUMBER',
    reads: 'number',
    about: '-9 to 9 (write --priority=-1); 9 goes first',
  },
  metadata: { flag: 'metadata', value: 'JSON', reads: 'json', about: 'an object that its record repeats' },
  callback_url: { flag: 'callback-url', value: 'URL', reads: 'text', about: 'gets a POST of its final record' },
  on_interrupt: {
    flag: 'on-interrupt',
    value: 'WORD',
    reads: 'text',
    about: 'mark or requeue: what happens when its server ends',
  },
  deliver: {
    flag: 'deliver',
    value: 'branch',
    reads: 'text',
    about: 'commit its changes and push them to agent/JOB_ID',
  },
};

export const jobOptions = {
  ...Object.fromEntries(Object.values(jobFlags).map(({ flag }) => [flag, { type: 'string' as const }])),
  'idempotency-key': { type: 'string' },
} satisfies ParseArgsOptionsConfig;

/**
 * Reads options with `parseArgs` of `node:util`. Throws a `CommandFailure` for an unknown option, or an option without
 * its value.
 */
export function readOptions<const Options extends ParseArgsOptionsConfig>(args: string[], options: Options) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const unknown = /'(-[^' ]*)'/.exec(message)?.[1];
    if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION' || unknown === undefined) throw usage(message);
    const known = [...Object.keys(options), 'help'].map((name) => `--${name}`);
    throw usage(`Cannot use ${unknown}: there is no such option; ${suggestionFor(unknown, known)}`);
  }
}

/** Returns the request body of `POST /execute`. `values` are the values of the flags, by flag. */
export function bodyOf(prompt: string, values: Record<string, unknown>): Record<string, unknown> {
  const fields = Object.entries(jobFlags).flatMap(([field, flag]) => {
    const given = values[flag.flag];
    return typeof given === 'string' ? [[field, readValue(flag, given)]] : [];
  });
  return { prompt, ...Object.fromEntries(fields) };
}

function readValue({ flag, reads }: JobFlag, given: string): unknown {
  switch (reads) {
    case 'text':
      return given;
    case 'number':
      if (/^-?\d+(\.\d+)?$/.test(given)) return Number(given);
      throw usage(`Cannot use --${flag} "${given}": it must be a number`);
    case 'json':
      try {
        return JSON.parse(given);
      } catch {
        throw usage(`Cannot use --${flag} "${given}": it must be JSON, such as '{"ticket":7}'`);
      }
  }
}

/**
 * Returns a client for the server that the options name, or else for the server on this machine with the same settings.
 */
export async function clientOf({ url, key }: { url?: string; key?: string }): Promise<JobClient> {
  if (url !== undefined && key !== undefined) return createJobClient(checkedUrl(url), checkedKey(key));
  const config = readSettings();
  const token = key === undefined ? await keptKey(config) : checkedKey(key);
  if (!token)
    throw usage(
      'Cannot use the server: there is no key; set API_BEARER_TOKEN, or set DATA_DIR to the data folder of the server',
    );
  return createJobClient(url === undefined ? localUrl(config) : checkedUrl(url), token);
}

function readSettings(): Config {
  try {
    return loadConfig();
  } catch (error) {
    throw usage((error as Error).message);
  }
}

async function keptKey({ apiBearerToken, dataDir }: Config): Promise<string | undefined> {
  try {
    return await findApiKey(apiBearerToken, dataDir);
  } catch (error) {
    throw usage((error as Error).message);
  }
}

function checkedKey(given: string): string {
  const key = given.trim();
  const problem = apiKeyProblem(key);
  if (problem) throw usage(`Cannot use --key: ${problem}`);
  return key;
}

function localUrl({ host, port }: { host: string; port: number }): string {
  if (port === 0) throw usage('Cannot find the server: PORT is 0, so its port is not known; use --url');
  // These two addresses mean every address of the machine. A client cannot connect to them.
  const address = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}

function checkedUrl(url: string): string {
  const protocol = URL.parse(url)?.protocol;
  if (protocol === 'http:' || protocol === 'https:') return url;
  throw usage(`Cannot use --url "${url}": it must be a URL such as http://127.0.0.1:8000`);
}

export function usage(message: string): CommandFailure {
  return new CommandFailure(exitStatus.usage, message);
}

/** The options of `jobs`: the server, the key, and the fields of a new job. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { findApiKey } from '../../config/api-key.ts';
import { type Config, loadConfig } from '../../config/config.ts';
import { CommandFailure, exitStatus } from './exit-status.ts';
import { createJobClient, type JobClient } from './job-client.ts';

export const serverOptions = { url: { type: 'string' }, key: { type: 'string' } } satisfies ParseArgsOptionsConfig;

export const jobOptions = {
  agent: { type: 'string' },
  model: { type: 'string' },
  effort: { type: 'string' },
  budget: { type: 'string' },
  timeout: { type: 'string' },
  deliver: { type: 'string' },
  'idempotency-key': { type: 'string' },
} satisfies ParseArgsOptionsConfig;

type JobOptions = { [Name in keyof typeof jobOptions]?: string };

/**
 * Reads options with `parseArgs` of `node:util`. Throws a `CommandFailure` for an unknown option, or an option without
 * its value.
 */
export function readOptions<const Options extends ParseArgsOptionsConfig>(args: string[], options: Options) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    throw usage((error as Error).message);
  }
}

/** Returns the request body of `POST /execute`. */
export function bodyOf(prompt: string, { agent, model, effort, budget, timeout, deliver }: JobOptions) {
  return {
    prompt,
    ...(agent === undefined ? {} : { agent }),
    ...(model === undefined ? {} : { model }),
    ...(effort === undefined ? {} : { effort }),
    ...(budget === undefined ? {} : { max_budget_usd: numberOf('budget', budget) }),
    ...(timeout === undefined ? {} : { timeout_seconds: numberOf('timeout', timeout) }),
    ...(deliver === undefined ? {} : { deliver }),
  };
}

/**
 * Returns a client for the server that the options name, or else for the server on this machine with the same settings.
 */
export async function clientOf({ url, key }: { url?: string; key?: string }): Promise<JobClient> {
  if (url !== undefined && key !== undefined) return createJobClient(checkedUrl(url), key);
  const config = readSettings();
  const token = key ?? (await findApiKey(config.apiBearerToken, config.dataDir));
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

function numberOf(name: string, text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  throw usage(`Cannot use --${name} "${text}": it must be a number`);
}

export function usage(message: string): CommandFailure {
  return new CommandFailure(exitStatus.usage, message);
}

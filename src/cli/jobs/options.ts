/** The options of `jobs`: which server, which key, and what the job is to be. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { findApiKey } from '../../config/api-key.ts';
import { type Config, loadConfig } from '../../config/config.ts';
import { CommandFailure, exitStatus } from './exit-status.ts';
import { createJobClient, type JobClient } from './job-client.ts';

export const serverOptions = { url: { type: 'string' }, key: { type: 'string' } } satisfies ParseArgsOptionsConfig;

export const wishOptions = {
  agent: { type: 'string' },
  model: { type: 'string' },
  effort: { type: 'string' },
  budget: { type: 'string' },
  timeout: { type: 'string' },
  deliver: { type: 'string' },
  'idempotency-key': { type: 'string' },
} satisfies ParseArgsOptionsConfig;

type Wish = { [Name in keyof typeof wishOptions]?: string };

/** As `node:util` reads them; throws a `CommandFailure` for one that is not known, or lacks its value. */
export function readOptions<const Options extends ParseArgsOptionsConfig>(args: string[], options: Options) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    throw usage((error as Error).message);
  }
}

/** The body of `POST /execute`. */
export function bodyOf(prompt: string, { agent, model, effort, budget, timeout, deliver }: Wish) {
  return {
    prompt,
    ...(agent === undefined ? {} : { agent }),
    ...(model === undefined ? {} : { model }),
    ...(effort === undefined ? {} : { effort }),
    ...(budget === undefined ? {} : { max_budget_usd: numberIn('budget', budget) }),
    ...(timeout === undefined ? {} : { timeout_seconds: numberIn('timeout', timeout) }),
    ...(deliver === undefined ? {} : { deliver }),
  };
}

/** The server of the options, else the one that these settings would start on this machine. */
export async function clientOf({ url, key }: { url?: string; key?: string }): Promise<JobClient> {
  if (url !== undefined && key !== undefined) return createJobClient(checkedUrl(url), key);
  const config = readSettings();
  const token = key ?? (await findApiKey(config.apiBearerToken, config.dataDir));
  if (!token) throw usage('Cannot ask the server: there is no key; set API_BEARER_TOKEN, or DATA_DIR to the server’s');
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
  if (port === 0) throw usage('Cannot tell where the server listens: PORT is 0; give --url');
  // What a server listens on when it listens on every address is not where it is found.
  const found = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${found.includes(':') ? `[${found}]` : found}:${port}`;
}

function checkedUrl(url: string): string {
  const protocol = URL.parse(url)?.protocol;
  if (protocol === 'http:' || protocol === 'https:') return url;
  throw usage(`Cannot use --url "${url}": it takes a URL such as http://127.0.0.1:8000`);
}

function numberIn(name: string, word: string): number {
  if (/^\d+(\.\d+)?$/.test(word)) return Number(word);
  throw usage(`Cannot use --${name} "${word}": it takes a number`);
}

export function usage(message: string): CommandFailure {
  return new CommandFailure(exitStatus.usage, message);
}

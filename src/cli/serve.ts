/**
 * `claude-agent-server serve`: runs the server until a signal. The first signal lets runs finish, and the second ends
 * them.
 */
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { findVersion, tooOldMessage } from '../agents/cli-version.ts';
import { findClaude } from '../agents/find-claude.ts';
import type { FoundContainment } from '../agents/sandbox/containment.ts';
import { apiKeyPath } from '../config/api-key.ts';
import { type Config, type Environment, hostEnvironment, loadConfig } from '../config/config.ts';
import { type Service, startService } from '../service.ts';
import { settledWithin } from '../waits.ts';
import type { CommandContext } from './command-context.ts';

/**
 * How long the server takes at most to end after a second signal, in milliseconds. An agent that ignores SIGTERM needs
 * some 2 s of it.
 */
const hurriedReleaseMs = 5000;

export async function serve(args: string[], context: CommandContext): Promise<number> {
  const { stop, stopNow, terminal } = context;
  const print = terminal ? context.print : (line: string) => context.print(logLine(line));
  const config = loadConfig(args);
  const environment = hostEnvironment();
  const version = await checkVersion(config, environment, stop);
  const service = await startService(config, environment);
  print(`claude-agent-server listens on ${service.url}${boundNote(config, service.url)}`);
  print(`  native API ${service.url}/v1   OpenAI API ${service.url}/openai/v1`);
  if (service.tokenCreated) {
    // The key is printed only on a terminal, because other output may be stored in the log of a service manager or a
    // container.
    if (terminal) print(`  API key (shown once): ${service.token}`);
    print(`  A new API key was made; it is kept in ${apiKeyPath(config.dataDir)}`);
  }
  if (service.token === '') print('  API_BEARER_TOKEN is empty: every request but /health is refused');
  for (const line of version) print(line);
  for (const line of containmentLines(config, service.contained)) print(line);
  // The advice is not awaited here, because it starts the CLI, which takes some time.
  const advised = adviceFor(service).then((lines) => lines.forEach(print));

  await aborted(stop);
  print(`stopping: runs may finish within ${config.shutdownGraceSeconds} s; a second signal ends them`);
  await Promise.race([service.close(), aborted(stopNow).then(() => service.close(0, hurriedReleaseMs))]);
  await settledWithin(advised, hurriedReleaseMs);
  return 0;
}

/**
 * Returns a line as JSON, as the log has it. What is not a terminal may be stored together with the log, and a reader of
 * logs expects JSON in every line.
 */
function logLine(line: string): string {
  const level = line.includes('WARNING') ? 40 : 30;
  return JSON.stringify({ level, time: new Date().toISOString(), msg: line.trim() });
}

/** Returns what to say after the URL if the server listens on all addresses, so that others can reach it too. */
function boundNote({ host }: Config, url: string): string {
  if (host !== '0.0.0.0' && host !== '::') return '';
  const { port } = new URL(url);
  const others = Object.values(networkInterfaces())
    .flat()
    .filter((each) => each?.family === 'IPv4' && !each.internal)
    .map((each) => `http://${each?.address}:${port}`);
  const elsewhere = others.length > 0 ? `; from other machines: ${others.join(', ')}` : '';
  return ` (bound to ${host === '::' ? '[::]' : host}:${port}, all addresses of this machine${elsewhere})`;
}

/**
 * Returns lines to print. Throws an Error if the CLI is too old: requests would fail, or the CLI would run their text
 * as commands.
 */
async function checkVersion(config: Config, environment: Environment, stop: AbortSignal): Promise<string[]> {
  const command = findClaude(config.claudeBin, environment['PATH']);
  const found = command && (await findVersion(command, environment, stop));
  if (!found || found.state === 'supported') return [];
  if (found.state === 'too_old') throw new Error(tooOldMessage(found.version));
  return [`  WARNING: the version of ${command} is not known: ${found.said}`];
}

/** Returns lines to print about the sandbox, and about safeguards that the operator has switched off. */
function containmentLines(config: Config, { containment, missing }: FoundContainment): string[] {
  const trusted = config.trustWorkspace
    ? ['  TRUST_WORKSPACE=on: hooks, settings and MCP servers of the workspace run with your key']
    : [];
  if (!missing) return [`  agents run in a sandbox (${containment.kind})`, ...trusted];
  return [`  WARNING: ${missing.what}. To fix it: ${missing.remedy}`, ...trusted];
}

async function adviceFor(service: Service): Promise<string[]> {
  const error = await service.notReady();
  switch (error?.code) {
    case 'agent_not_started':
      return [`  WARNING: ${error.message}`];
    case 'not_signed_in':
      return [
        '  Claude Code has no login and no API key: requests will fail.',
        '  Run "claude" and sign in, or set ANTHROPIC_API_KEY; "claude-agent-server doctor" checks the rest.',
      ];
    default:
      return [];
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

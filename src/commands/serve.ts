/** `claude-agent-server serve`: runs until a signal; the first lets runs finish, the second ends them. */
import { findClaude } from '../agent/find-claude.ts';
import { findSignIn } from '../agent/sign-in.ts';
import { type Config, type Environment, hostEnvironment, loadConfig } from '../config.ts';
import { createMarkers } from '../leftovers.ts';
import { startService } from '../service.ts';
import type { CommandContext } from './command.ts';

export async function serve(args: string[], { stop, stopNow, print }: CommandContext): Promise<number> {
  const config = loadConfig(args);
  const environment = hostEnvironment();
  const service = await startService(config, environment);
  print(`claude-agent-server listens on ${service.url}`);
  print(`  contract door ${service.url}/v1   OpenAI door ${service.url}/openai/v1`);
  if (service.tokenCreated) print(`  API key (shown once, kept in the data folder): ${service.token}`);
  if (service.token === '') print('  API_BEARER_TOKEN is empty: every request but /health is refused');
  // Beside the rest: it asks the CLI, which takes its time.
  const advised = signInAdvice(config, environment, stop).then((lines) => lines.forEach(print));

  await aborted(stop);
  print(`stopping: runs may finish within ${config.shutdownGraceSeconds} s; a second signal ends them`);
  const closing = service.close();
  await Promise.race([closing, aborted(stopNow).then(() => service.close(0))]);
  await Promise.all([closing, advised]);
  return 0;
}

async function signInAdvice(config: Config, environment: Environment, signal: AbortSignal): Promise<string[]> {
  const command = findClaude(config.claudeBin, environment['PATH']);
  if (!command) return ['  claude is not to be found: install Claude Code, or set CLAUDE_BIN'];
  const marker = createMarkers(config.dataDir).of('sign-in');
  const { state } = await findSignIn({ environment, claudeBin: command, extra: config.agentEnv, marker, signal });
  if (state !== 'none') return [];
  return [
    '  Claude Code has no login and no API key: requests will fail.',
    '  Run "claude" and sign in, or set ANTHROPIC_API_KEY; "claude-agent-server doctor" checks the rest.',
  ];
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

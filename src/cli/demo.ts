/** `claude-agent-server demo`: tries the server without an account, with the real agent and a fake model. */
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findClaude } from '../agents/find-claude.ts';
import { type Config, hostEnvironment, loadConfig } from '../config/config.ts';
import { fakeModelEnvironment } from '../fake-model/agent-environment.ts';
import { startFakeModel } from '../fake-model/fake-model.ts';
import { Releases } from '../releases.ts';
import { type Service, startService } from '../service.ts';
import type { CommandContext } from './command-context.ts';

const question = 'What can you do for me?';

/**
 * Runs the demo until the first signal, or with `--once` until the first answer. All its files are in one temporary
 * folder, which it removes at its end. The exit status is 1 if the question got no answer.
 */
export async function runDemo(args: string[], { stop, print }: CommandContext): Promise<number> {
  const onlyOnce = args.includes('--once');
  const releases = new Releases();
  try {
    const service = await startDemo(
      args.filter((arg) => arg !== '--once'),
      releases,
      print,
    );
    const answered = await askAndShow(service, stop, print);
    if (!onlyOnce && !stop.aborted) {
      showMore(service, print);
      if (!stop.aborted) await once(stop, 'abort');
    }
    return answered || stop.aborted ? 0 : 1;
  } finally {
    await releases.run();
    print('The demo has ended: its server is stopped and its temporary folder is removed.');
  }
}

async function startDemo(flags: string[], releases: Releases, print: CommandContext['print']): Promise<Service> {
  const folder = await mkdtemp(join(tmpdir(), 'claude-agent-server-demo-'));
  releases.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const home = join(folder, 'home');
  await mkdir(home);
  const model = await startFakeModel();
  releases.push(() => model.close());
  const config = demoConfig(flags, join(folder, 'data'));
  const service = await startService(config, fakeModelEnvironment(model.url, home, hostEnvironment()));
  releases.push(() => service.close(0));
  const place = config.workspaceDir ? `the workspace ${config.workspaceDir}` : 'an empty folder';
  print(`The server listens on ${service.url}. It runs the real claude command, in ${place}, without an account.`);
  print(`The model is NOT a language model: it is a fake model at ${model.url} that follows a script,`);
  print('and the token counts and costs that it reports are made up.');
  return service;
}

/**
 * Returns the settings of the demo. They come from flags. Of the environment variables only PORT counts, so that the
 * demo is the same on every machine.
 */
function demoConfig(flags: string[], dataDir: string): Config {
  const environment = {
    PORT: hostEnvironment()['PORT'] ?? '0',
    DATA_DIR: dataDir,
    LOG_LEVEL: 'error',
    // The demo uses the packaged `claude`, because the `claude` on PATH may have any version.
    CLAUDE_BIN: findClaude(undefined, ''),
  };
  return loadConfig(flags, environment, ['--once']);
}

async function askAndShow(
  { url, token }: Service,
  stop: AbortSignal,
  print: CommandContext['print'],
): Promise<boolean> {
  const body = { model: 'haiku', messages: [{ role: 'user', content: question }] };
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  print(`\nA client asks:\n\n${curlLine(`${url}/v1/chat/completions`, token, body)}\n`);
  const began = performance.now();
  try {
    const request = { method: 'POST', headers, body: JSON.stringify(body), signal: stop };
    const response = await fetch(`${url}/v1/chat/completions`, request);
    const answer = (await response.json()) as { choices?: { message?: { content?: string } }[] };
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    print(
      `The server answers after ${seconds} s, with status ${response.status}:\n\n${JSON.stringify(answer, null, 2)}\n`,
    );
    const content = answer.choices?.[0]?.message?.content;
    if (response.status === 200 && content) print(`The text of the answer: ${content}\n`);
    return response.status === 200;
  } catch (error) {
    if (!stop.aborted) print(`The server did not answer: ${(error as Error).message}`);
    return false;
  }
}

function showMore({ url, token }: Service, print: CommandContext['print']): void {
  const streamed = { model: 'haiku', stream: true, messages: [{ role: 'user', content: '[[words: 20]]' }] };
  const tool = { model: 'haiku', messages: [{ role: 'user', content: '[[tool: Bash {"command":"pwd"}]]' }] };
  print('The fake model follows markers in the question. A streamed answer of the OpenAI API:\n');
  print(`${curlLine(`${url}/openai/v1/chat/completions`, token, streamed)}\n`);
  print('The agent uses a tool:\n');
  print(`${curlLine(`${url}/v1/chat/completions`, token, tool)}\n`);
  print('To use a real model, sign in with claude or set ANTHROPIC_API_KEY, then run npm start. Ctrl-C ends the demo.');
}

/** Returns the request as a command for a POSIX shell. */
function curlLine(url: string, token: string, body: object): string {
  const json = JSON.stringify(body).replaceAll("'", "'\\''");
  return [
    `curl -N ${url} \\`,
    `  -H 'authorization: Bearer ${token}' \\`,
    `  -H 'content-type: application/json' \\`,
    `  -d '${json}'`,
  ].join('\n');
}

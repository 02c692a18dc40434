/** The options of `jobs`: a flag for each field of a job, prompts from standard input, abbreviated ids, tables. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { jobRequestShape } from '../../src/api/jobs/read-job-request.ts';
import type { CommandContext } from '../../src/cli/command-context.ts';
import { bodyOf, jobFlags } from '../../src/cli/jobs/options.ts';
import { runJobsCommand } from '../../src/cli/jobs-command.ts';
import { ended, execute, jobOf, promptFor, startBusyService } from '../support/http-jobs.ts';
import { startScriptedService } from '../support/scripted-agent.ts';
import { type TestService, testToken } from '../support/service.ts';

/** Runs the command in this process, with the given standard input and terminal. */
async function run(service: TestService, args: string[], given: Partial<CommandContext> & { input?: string } = {}) {
  const printed: string[] = [];
  let reported = '';
  const never = new AbortController().signal;
  const { input = '', ...more } = given;
  const hasServer = args.includes('--url');
  const status = await runJobsCommand([...args, ...(hasServer ? [] : ['--url', service.url, '--key', testToken])], {
    stop: never,
    stopNow: never,
    outputClosed: never,
    terminal: false,
    errorTerminal: false,
    width: undefined,
    readInput: async () => input,
    print: (line) => printed.push(line),
    report: (text) => {
      reported += text;
    },
    ...more,
  });
  return { status, stdout: printed.join('\n'), stderr: reported };
}

describe('each field of a job', () => {
  const shape = jobRequestShape({ maxBudgetUsd: 100, allowPrivateCallbacks: true });
  const values: Record<string, [text: string, value: unknown]> = {
    agent: ['fixer', 'fixer'],
    model: ['opus', 'opus'],
    effort: ['low', 'low'],
    max_budget_usd: ['1.5', 1.5],
    timeout_seconds: ['60', 60],
    stall_seconds: ['0', 0],
    wait_seconds: ['7', 7],
    priority: ['-3', -3],
    metadata: ['{"ticket":7}', { ticket: 7 }],
    callback_url: ['http://127.0.0.1/hook', 'http://127.0.0.1/hook'],
    on_interrupt: ['requeue', 'requeue'],
    deliver: ['branch', 'branch'],
  };

  test('has a flag, and the flag has the value of the field', () => {
    const { prompt: _, ...fields } = shape.shape;
    assert.deepEqual(Object.keys(jobFlags).sort(), Object.keys(fields).sort());
    const flags = Object.entries(jobFlags).map(([field, { flag }]) => [flag, values[field]?.[0]]);
    const body = bodyOf('hi', Object.fromEntries(flags));
    const expected = Object.entries(values).map(([field, [, value]]) => [field, value]);
    assert.deepEqual(body, { prompt: 'hi', ...Object.fromEntries(expected) });
    assert.equal(shape.safeParse(body).success, true);
  });

  test('reaches the server', async (t) => {
    const { service } = await startBusyService(t, { CALLBACK_ALLOW_PRIVATE: 'on' });
    const { deliver: _, ...others } = values;
    const flags = Object.entries(others).map(([field, [text]]) => {
      const { flag } = jobFlags[field as keyof typeof jobFlags];
      return `--${flag}=${text}`;
    });
    const { status, stdout, stderr } = await run(service, ['run', 'hi', ...flags]);
    assert.equal(status, 0, stderr);
    const job = (await jobOf(service, stdout)) as unknown as Record<string, unknown>;
    for (const [field, [, value]] of Object.entries(others)) assert.deepEqual(job[field], value, field);
  });

  test('with a flag that is misspelt or has a wrong value is refused', async (t) => {
    const service = await startScriptedService(t);
    for (const { flag } of Object.values(jobFlags)) {
      const wrong = `--${flag.slice(0, 1)}${flag}`;
      const { status, stderr } = await run(service, ['run', 'hi', wrong, 'x']);
      assert.deepEqual(
        [status, stderr],
        [2, `Cannot use ${wrong}: there is no such option; did you mean --${flag}?\n`],
      );
    }
    for (const [option, says] of [
      ['--budget=much', /must be a number/],
      ['--metadata=x', /must be JSON/],
      ['--wiat', /did you mean --wait\?/],
    ] as const) {
      const { status, stderr } = await run(service, ['run', 'hi', option]);
      assert.equal(status, 2);
      assert.match(stderr, says);
    }
    for (const command of ['list', 'show', 'cancel', 'diff', 'events']) {
      const { status, stderr } = await run(service, [command, 'x', '--urll']);
      assert.equal(status, 2);
      assert.match(stderr, /there is no such option; did you mean --url\?/);
    }
    const { status, stderr } = await run(service, ['lst']);
    assert.deepEqual([status, stderr], [2, 'Cannot run "jobs lst": there is no such command; did you mean list?\n']);
    const spaced = await run(service, ['list', '--url', service.url, '--key', 'a b']);
    assert.deepEqual([spaced.status, /white space/.test(spaced.stderr)], [2, true]);
  });
});

test('with - as the prompt, the prompt is standard input', async (t) => {
  const service = await startScriptedService(t);
  const input = `${promptFor({ say: ['from stdin'] })}\n`;
  const { status, stdout } = await run(service, ['run', '-', '--wait', '--quiet'], { input });
  assert.deepEqual([status, stdout], [0, 'from stdin']);
  const { jobs } = (await (await service.get('/jobs')).json()) as { jobs: { job_id: string }[] };
  assert.equal((await jobOf(service, jobs[0]?.job_id ?? '')).prompt, input);
  for (const [prompt, says] of [
    ['-', /standard input has no text/],
    [' ', /the prompt has no text/],
  ] as const) {
    const empty = await run(service, ['run', prompt], { input: ' \n' });
    assert.equal(empty.status, 2);
    assert.match(empty.stderr, says);
  }
  assert.equal(((await (await service.get('/jobs')).json()) as { jobs: unknown[] }).jobs.length, 1);
});

test('on a terminal the result is shown once', async (t) => {
  const service = await startScriptedService(t);
  const tool = { name: 'Bash', input: {}, result: 'a' };
  const prompt = promptFor({ before: 'I look. ', tool, say: ['The ', 'answer\n'] });
  const other = promptFor({ say: ['Not '], result: { result: 'The answer' } });
  const show = async (text: string, more: Partial<CommandContext>, ...args: string[]) => {
    const { stdout, stderr } = await run(service, ['run', text, '--wait', ...args], more);
    return (stdout + stderr).split('The answer').length - 1;
  };
  const terminal = { terminal: true, errorTerminal: true, width: 80 };
  assert.equal(await show(prompt, terminal), 1);
  assert.equal(await show(other, terminal), 1);
  assert.equal(await show(prompt, terminal, '--quiet'), 1);
  // The text and the result go to different readers.
  assert.equal(await show(prompt, { ...terminal, errorTerminal: false }), 2);
  assert.equal(await show(prompt, {}), 2);
});

describe('the list', () => {
  test('has headings, widths, reasons, positions and owners', async (t) => {
    const { service, running } = await startBusyService(t, { API_KEYS: 'tenant', MAX_CONCURRENT_RUNS: '1' });
    const tenant = { authorization: 'Bearer tenant' };
    const first = await execute(service, { prompt: 'one\n\u001b[2J two' });
    const second = await execute(service, { prompt: `${'x'.repeat(27)}\u{1f600}${'y'.repeat(90)}` }, tenant);
    await service.delete(`/jobs/${running}`);
    await ended(service, running);
    await ended(service, second);
    const failing = await execute(service, { prompt: promptFor({ exit: 1 }) });
    await ended(service, failing);
    const { stdout } = await run(service, ['list'], { width: 140 });
    const [heading = '', ...lines] = stdout.split('\n');
    assert.match(heading, /^ID {34,} {2}STATUS +REASON +CREATED +COST {2}OWNER +PROMPT$/);
    const at = (name: string) => heading.indexOf(name);
    const cell = (id: string, from: string, to: string) =>
      lines
        .find((line) => line.startsWith(id))
        ?.slice(at(from), at(to))
        .trim();
    assert.equal(cell(failing, 'REASON', 'CREATED'), 'agent_failed');
    assert.equal(cell(running, 'REASON', 'CREATED'), 'cancelled');
    assert.equal(cell(first, 'OWNER', 'PROMPT'), 'operator');
    assert.match(cell(second, 'OWNER', 'PROMPT') ?? '', /^[\da-f]{16}$/);
    for (const line of lines) {
      assert.ok(line.length <= 140, line);
      assert.doesNotMatch(line, /\p{Cc}/u);
      assert.ok(line.isWellFormed(), line);
    }
    const own = await run(service, ['list', '--url', service.url, '--key', 'tenant']);
    assert.doesNotMatch(own.stdout, /OWNER/);
    assert.match(own.stdout, new RegExp(second));
  });

  test('has the positions of waiting jobs, also over HTTP', async (t) => {
    const { service } = await startBusyService(t);
    const waiting = [await execute(service, { prompt: 'a' }), await execute(service, { prompt: 'b', priority: 9 })];
    const { jobs } = (await (await service.get('/jobs?status=queued')).json()) as {
      jobs: { job_id: string; position: number; owner: string }[];
    };
    const positions = waiting.map((id) => jobs.find(({ job_id }) => job_id === id)?.position);
    assert.deepEqual(positions, [2, 1]);
    assert.match((await run(service, ['list'])).stdout, /queued +position 1 /);
  });
});

test('an id may be abbreviated to a beginning that no other job has', async (t) => {
  const service = await startScriptedService(t);
  const [one, two] = [await execute(service, { prompt: 'a' }), await execute(service, { prompt: 'b' })];
  const shared = [...one].findIndex((character, at) => character !== two[at]);
  assert.ok(shared >= 4, 'ids begin with the time');
  const short = one.slice(0, shared + 1);
  assert.equal((JSON.parse((await run(service, ['show', short])).stdout) as { job_id: string }).job_id, one);
  await ended(service, one);
  for (const command of ['events', 'cancel', 'diff']) {
    assert.doesNotMatch((await run(service, [command, short])).stderr, /begins with/);
  }
  const ambiguous = await run(service, ['show', one.slice(0, shared)]);
  assert.deepEqual([ambiguous.status, /more than one id begins with/.test(ambiguous.stderr)], [2, true]);
  const missing = await run(service, ['show', 'ffff']);
  assert.deepEqual([missing.status, /no id begins with ffff/.test(missing.stderr)], [2, true]);
});

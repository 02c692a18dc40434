/** The command `jobs` as a process of its own, with real signals, against a running server. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { requirement } from '../contract/requirements.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { makeClone, makeSandbox } from '../support/git-repositories.ts';
import { ended, execute, jobOf, promptFor, reaches } from '../support/http-jobs.ts';
import { runJobsCommand, startJobsCommand } from '../support/jobs-command.ts';
import { startScriptedService } from '../support/scripted-agent.ts';
import { startServerProcess } from '../support/server-process.ts';
import { faultAgent, type TestService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

const hanging = promptFor({ hang: true });

async function onlyJob(service: TestService): Promise<string> {
  return waitUntil('there is a job', async () => {
    const { jobs } = (await (await service.get('/jobs')).json()) as { jobs: { job_id: string }[] };
    return jobs[0]?.job_id;
  });
}

describe('jobs run', () => {
  test(requirement('J-20'), async (t) => {
    const service = await startScriptedService(t);
    const tool = { name: 'Bash', input: { command: 'ls' }, result: 'a b' };
    const prompt = promptFor({ tool, say: ['one ', 'two\u001b[2J ', 'three'], pauseMs: 300 });
    const command = startJobsCommand(t, ['run', prompt, '--wait', '--model', 'opus', '--url', service.url]);
    await waitUntil('the first words are shown', () => command.stderr().includes('one'));
    const id = await onlyJob(service);
    const then = await jobOf(service, id);
    assert.deepEqual([then.status, then.model], ['running', 'opus']);
    assert.equal(await command.exited, 0);
    assert.equal(command.stdout(), 'one two\u001b[2J three\n');
    assert.match(command.stderr(), new RegExp(`^-- job ${id}, position 1`));
    assert.match(
      command.stderr(),
      /-- running\n[\s\S]*-> Bash \{"command":"ls"\}\n<- a b\none two\[2J three\n-- completed, \$0\.25/,
    );
  });

  test('without --wait it prints the id, and its options become the fields of the job', async (t) => {
    const sandbox = makeSandbox();
    t.after(() => sandbox.remove());
    const service = await startScriptedService(t, { WORKSPACE_DIR: makeClone(sandbox).clone });
    const options = [
      '--agent',
      'fixer',
      '--effort',
      'low',
      '--budget',
      '1.5',
      '--timeout',
      '60',
      '--deliver',
      'branch',
    ];
    const args = ['run', '--url', service.url, ...options, '--idempotency-key', 'k', '--', '--help me'];
    const { status, stdout } = await runJobsCommand(t, args);
    assert.equal(status, 0);
    const job = await jobOf(service, stdout.trim());
    assert.deepEqual(
      [job.prompt, job.agent, job.effort, job.max_budget_usd, job.timeout_seconds, job.deliver],
      ['--help me', 'fixer', 'low', 1.5, 60, 'branch'],
    );
    assert.equal((await runJobsCommand(t, args)).stdout, stdout);
    const quiet = await runJobsCommand(t, ['run', 'hi', '--wait', '--quiet', '--json', '--url', service.url]);
    assert.deepEqual([quiet.status, quiet.stderr], [0, '']);
    assert.equal((JSON.parse(quiet.stdout) as { result: string }).result, 'ok');
  });

  test(requirement('J-20', 'the exit status is the outcome'), async (t) => {
    const service = await startScriptedService(t);
    const run = (...args: string[]) => runJobsCommand(t, ['run', ...args, '--wait', '--url', service.url]);
    const failed = await run(promptFor({ exit: 3, stderr: 'boom' }));
    assert.deepEqual([failed.status, failed.stdout], [1, '']);
    assert.match(failed.stderr, /ended as failed: boom\n$/);
    assert.equal((await run(hanging, '--timeout', '0.5')).status, 124);
    const wrong = [['hi', '--model', 'gpt-5'], ['hi', '--budget', 'much'], ['hi', '--nonsense'], ['hi', 'again'], []];
    for (const args of wrong) {
      const { status, stderr } = await run(...args);
      assert.equal(status, 2, args.join(' '));
      assert.ok(stderr.length > 10 && !stderr.includes('    at '));
    }
    assert.match((await run('hi', '--model', 'gpt-5')).stderr, /unsupported model: there are haiku, sonnet, opus/);
    assert.equal((await run('hi', '--key', 'wrong')).status, 2);
    await service.close(0);
    const unreachable = await run('hi');
    assert.equal(unreachable.status, 3);
    assert.equal(unreachable.stderr, `Cannot reach the server at ${service.url}: ECONNREFUSED\n`);
  });

  test('the settings name the server and the key of this machine', async (t) => {
    const service = await startScriptedService(t);
    const PORT = new URL(service.url).port;
    assert.equal((await runJobsCommand(t, ['run', 'hi', '--wait'], { PORT, HOST: '0.0.0.0' })).stdout, 'ok\n');
    const DATA_DIR = await scratchFolder(t);
    const list = () => runJobsCommand(t, ['list'], { PORT, DATA_DIR, API_BEARER_TOKEN: undefined });
    const keyless = await list();
    assert.deepEqual([keyless.status, /there is no key/.test(keyless.stderr)], [2, true]);
    await writeFile(join(DATA_DIR, 'api-key'), `${service.token}\n`);
    assert.equal((await list()).status, 0);
    const broken = await runJobsCommand(t, ['list'], { PORT: 'eighty' });
    assert.deepEqual([broken.status, /^Cannot use PORT="eighty"/.test(broken.stderr)], [2, true]);
  });

  test(requirement('J-22'), async (t) => {
    const service = await startScriptedService(t);
    const command = startJobsCommand(t, ['run', hanging, '--wait', '--url', service.url]);
    await waitUntil('the agent works', () => command.stderr().includes('agent started'));
    command.interrupt();
    assert.equal(await command.exited, 130);
    assert.match(command.stderr(), /-- cancelling/);
    assert.equal((await jobOf(service, await onlyJob(service))).status, 'cancelled');
  });

  test('a second Ctrl-C ends the command at once', async (t) => {
    const service = await startScriptedService(t);
    // The agent ignores SIGTERM, so it takes seconds to cancel the job.
    const prompt = promptFor({ say: ['word ', 'never'], gate: '/nonexistent/gate', lingerMs: 60_000 });
    const command = startJobsCommand(t, ['run', prompt, '--wait', '--url', service.url]);
    await waitUntil('the agent works', () => command.stderr().includes('word'));
    command.interrupt();
    await waitUntil('the first Ctrl-C has its effect', () => command.stderr().includes('-- cancelling'));
    const seen = performance.now();
    await waitUntil('another Ctrl-C is no echo of the first', () => performance.now() - seen > 200);
    command.interrupt();
    assert.equal(await command.exited, 130);
    assert.match(command.stderr(), /it may still run\n$/);
  });
});

describe('a lost connection', () => {
  /** A proxy between the command and the server that can break all connections. */
  async function startBreakable(t: TestContext, url: string): Promise<{ url: string; breakAll(): void }> {
    const sockets = new Set<Socket>();
    const proxy = createServer((near) => {
      const far = connect(Number(new URL(url).port), '127.0.0.1');
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          near.destroy();
          far.destroy();
        });
      }
      near.pipe(far);
      far.pipe(near);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const breakAll = () => {
      for (const socket of sockets) socket.destroy();
    };
    t.after(() => {
      breakAll();
      proxy.close();
    });
    return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, breakAll };
  }

  test(requirement('J-21'), async (t) => {
    const service = await startScriptedService(t);
    const between = await startBreakable(t, service.url);
    const say = Array.from({ length: 8 }, (_, at) => `word${at} `);
    const prompt = promptFor({ say, pauseMs: 150 });
    const command = startJobsCommand(t, ['run', prompt, '--wait', '--url', between.url]);
    for (const word of ['word1', 'word4']) {
      await waitUntil(`${word} is shown`, () => command.stderr().includes(word));
      between.breakAll();
    }
    assert.equal(await command.exited, 0);
    assert.equal(command.stdout(), `${say.join('')}\n`);
    const words = command.stderr().match(/word\d/g);
    assert.deepEqual(
      words,
      say.map((word) => word.trim()),
    );
    assert.match(command.stderr(), /-- the connection is lost, retrying/);
  });

  test(
    requirement(
      'J-21',
      'when the server dies and restarts, the job is interrupted, and the command has that exit status',
    ),
    async (t) => {
      const settings = { CLAUDE_BIN: faultAgent('hangs') };
      const first = await startServerProcess(t, settings);
      const command = startJobsCommand(t, ['run', 'hi', '--wait', '--url', first.url]);
      await waitUntil('the job runs', () => command.stderr().includes('-- running'));
      first.child.kill('SIGKILL');
      await first.exited;
      await startServerProcess(t, { ...settings, PORT: new URL(first.url).port }, first.dataDir);
      assert.equal(await command.exited, 4);
      assert.match(command.stderr(), /ended as interrupted/);
    },
  );
});

describe('existing jobs', () => {
  test('list, show, events, diff and cancel work by the id of a job', async (t) => {
    const service = await startScriptedService(t, { MAX_CONCURRENT_RUNS: '1' });
    const jobs = (...args: string[]) => runJobsCommand(t, [...args, '--url', service.url]);
    const id = await execute(service, { prompt: promptFor({ say: ['one\ntwo'] }) });
    await ended(service, id);
    const listed = await jobs('list', '--status', 'completed');
    assert.match(listed.stdout, new RegExp(`^ID +STATUS .*PROMPT\n${id}  completed .* operator +Please\\.`));
    assert.equal((JSON.parse((await jobs('show', id)).stdout) as { job_id: string }).job_id, id);
    const events = await jobs('events', id);
    assert.deepEqual([events.status, events.stderr], [0, '']);
    assert.match(events.stdout, /^-- queued\n[\s\S]*\none\ntwo\n-- completed/);
    const [line = ''] = (await jobs('events', id, '--json', '--after', '1')).stdout.split('\n');
    const { at: _, ...event } = JSON.parse(line) as { at: string };
    const none = { error: null, cost_usd: null, num_turns: null };
    assert.deepEqual(event, { seq: 2, type: 'state', status: 'running', attempt: 1, ...none });
    const diff = await jobs('diff', id);
    assert.deepEqual([diff.status, diff.stdout], [2, '']);
    assert.match(diff.stderr, /There is no diff/);

    const running = await execute(service, { prompt: hanging });
    await reaches(service, running, 'running');
    const waiting = await execute(service, { prompt: 'hi' });
    assert.equal((await jobs('cancel', waiting)).stdout, 'cancelled: it had not started\n');
    assert.equal((await jobs('cancel', running)).stdout, 'cancelled: its agent is being ended\n');
    const again = await jobs('cancel', waiting);
    assert.deepEqual([again.status, again.stderr], [1, 'Cannot cancel the job: it has ended as cancelled\n']);
    assert.equal((await jobs('show', 'nonsense')).status, 2);
    const page = await jobs('list', '--limit', '1');
    assert.match(page.stderr, /--cursor/);
  });

  test('a long record is printed to a pipe completely', async (t) => {
    const service = await startScriptedService(t);
    const id = await execute(service, { prompt: promptFor({ say: ['x'.repeat(1000)], times: 500 }) });
    await ended(service, id);
    const { stdout } = await runJobsCommand(t, ['show', id, '--url', service.url]);
    assert.equal((JSON.parse(stdout) as { result: string }).result.length, 500_000);
  });

  test('help names the commands and the exit statuses', async (t) => {
    for (const args of [['--help'], ['run', '--help'], ['help']]) {
      const { status, stdout } = await runJobsCommand(t, args);
      assert.equal(status, 0);
      for (const word of ['run', 'list', 'show', 'cancel', 'diff', 'events', '--wait', '124', '130']) {
        assert.ok(stdout.includes(word), word);
      }
    }
    assert.equal((await runJobsCommand(t, [])).status, 2);
    assert.equal((await runJobsCommand(t, ['nonsense'])).status, 2);
  });
});

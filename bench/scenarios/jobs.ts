/** Jobs on both engines of the store: the delay of their start, events and end, and their rate. */
import { setTimeout as sleep } from 'node:timers/promises';
import { postgresMissing, startPostgres } from '../../tests/support/postgres.ts';
import type { Bench } from '../bench.ts';
import { cancel, follow, getJob, submitJob } from '../job-client.ts';
import { closedLoop, percentile, until } from '../measure.ts';
import { Pipe } from '../pipe.ts';
import { descendants } from '../process-use.ts';
import { type Figures, type Scenario, scenario } from '../scenario.ts';
import type { ServerProcess } from '../server-process.ts';

const readers = 50;

const figures = {
  started_p50: { unit: 'ms', about: 'from POST /execute to the start of the job, when a slot is free' },
  started_p99: { unit: 'ms', about: 'the same, the slowest of a hundred' },
  accepted_p50: { unit: 'ms', about: 'POST /execute to its 202: the job is on disk' },
  per_second: { unit: 'per s', about: 'jobs of a stub that answers at once, from the first 202 to the last end' },
  live_delay_p50: { unit: 'ms', about: 'from the output of the agent to a reader of the events' },
  live_delay_p99: { unit: 'ms', about: 'the same, the slowest of a hundred' },
  events_per_second_1: { unit: 'per s', about: 'events of a job that prints as fast as it can, to one reader' },
  events_per_second_50: { unit: 'per s', about: `the same to ${readers} readers, all of them together` },
  cancel_p50: { unit: 'ms', about: 'from DELETE to no process' },
} as const;

export const jobsEmbedded: Scenario = scenario({
  name: 'jobs_embedded',
  about: 'Jobs of a stub agent on the embedded store (SQLite).',
  figures,
  run: async (bench) => measure(bench, await bench.server('stub', { PREWARMED_AGENTS: '0' })),
});

export const jobsPostgres: Scenario = scenario({
  name: 'jobs_postgres',
  about: 'The same on a PostgreSQL on this machine, with fsync.',
  figures,
  async run(bench) {
    const missing = postgresMissing();
    if (missing) {
      bench.note(`jobs_postgres: ${missing}`);
      return Object.fromEntries(Object.keys(figures).map((name) => [name, undefined])) as Figures<keyof typeof figures>;
    }
    const postgres = await startPostgres({ durable: true });
    bench.releases.push(() => postgres.stop());
    const { url } = await postgres.createDatabase();
    return measure(bench, await bench.server('stub', { PREWARMED_AGENTS: '0', DATABASE_URL: url }));
  },
});

async function measure(bench: Bench, server: ServerProcess): Promise<Figures<keyof typeof figures>> {
  // The first job runs cold code, and is not counted.
  await follow(server, await submitJob(server, 'First'));
  const { accepted, started } = await starts(server, bench.pick(60, 15));
  const perSecond = await emptyJobs(server, bench.pick(200, 40));
  const delays = await liveDelays(bench, server, bench.pick(300, 80));
  const events = bench.pick(4000, 1000);
  const [one, many] = [
    await eventsPerSecond(bench, server, events, 1),
    await eventsPerSecond(bench, server, events, readers),
  ];
  const cancelled = await cancels(bench, server, bench.pick(5, 2));
  return {
    started_p50: percentile(started, 50),
    started_p99: percentile(started, 99),
    accepted_p50: percentile(accepted, 50),
    per_second: perSecond,
    live_delay_p50: percentile(delays, 50),
    live_delay_p99: percentile(delays, 99),
    events_per_second_1: one,
    events_per_second_50: many,
    cancel_p50: percentile(cancelled, 50),
  };
}

async function starts(server: ServerProcess, times: number) {
  const accepted: number[] = [];
  const started: number[] = [];
  for (let index = 0; index < times; index += 1) {
    const asked = Date.now();
    const began = performance.now();
    const id = await submitJob(server, `Job ${index}`);
    accepted.push(performance.now() - began);
    await follow(server, id);
    started.push(Date.parse((await getJob(server, id)).started_at ?? '') - asked);
  }
  return { accepted, started };
}

async function emptyJobs(server: ServerProcess, count: number): Promise<number> {
  const ids: string[] = [];
  const began = performance.now();
  await closedLoop({ clients: 4, maxMs: 20_000, maxCount: count }, async (index) => {
    ids.push(await submitJob(server, `Empty ${index}`));
  });
  // The job submitted last starts last, but jobs before it may end a little later.
  for (const id of ids.slice(-10)) await follow(server, id);
  return ids.length / ((performance.now() - began) / 1000);
}

/** A running job whose agent prints the text that is written into the pipe. */
async function pipedJob(bench: Bench, server: ServerProcess) {
  const name = `job-${performance.now()}`;
  const pipe = new Pipe(await bench.makePipe(name));
  bench.releases.push(() => pipe.close());
  const id = await submitJob(server, `Work [[pipe ${name}]]`);
  await until('the job runs', async () => (await getJob(server, id)).status === 'running', 10_000);
  pipe.write(bench.recording.head);
  await sleep(100);
  return { id, pipe };
}

async function liveDelays(bench: Bench, server: ServerProcess, texts: number): Promise<number[]> {
  const { id, pipe } = await pipedJob(bench, server);
  const sentAt: number[] = [];
  const delays: number[] = [];
  const followed = follow(server, id, ({ type, text = '' }) => {
    const now = performance.now();
    if (type !== 'text') return;
    for (let pieces = text.split(' ').length - 1; pieces > 0; pieces -= 1) {
      delays.push(now - (sentAt[delays.length] ?? now));
    }
  });
  for (let index = 0; index < texts; index += 1) {
    sentAt.push(performance.now());
    pipe.write(bench.recording.delta(' word'));
    await sleep(10);
  }
  await pipe.end(bench.recording.tail);
  await followed;
  return delays.slice(0, texts);
}

/** Text and thought alternate, because consecutive texts become one event. */
async function eventsPerSecond(bench: Bench, server: ServerProcess, count: number, clients: number): Promise<number> {
  const { id, pipe } = await pipedJob(bench, server);
  let received = 0;
  const onEvent = () => {
    received += 1;
  };
  const followed = Promise.all(Array.from({ length: clients }, () => follow(server, id, onEvent)));
  await sleep(300);
  const began = performance.now();
  for (let sent = 0; sent < count; ) {
    const line = sent % 2 === 0 ? bench.recording.delta('word') : bench.recording.thought('thought');
    if (pipe.write(line)) sent += 1;
    else await sleep(1);
  }
  await pipe.end(bench.recording.tail);
  await followed;
  return received / ((performance.now() - began) / 1000);
}

async function cancels(bench: Bench, server: ServerProcess, times: number): Promise<number[]> {
  const results: number[] = [];
  for (let index = 0; index < times; index += 1) {
    const { id, pipe } = await pipedJob(bench, server);
    const began = performance.now();
    await cancel(server, id);
    await until('no process is left', () => descendants(server.pid).length === 0, 10_000);
    results.push(performance.now() - began);
    pipe.close();
  }
  return results;
}

/** Many streams at once on one core: no token may be lost, and a token must cost almost nothing. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hostEnvironment } from '../../src/config/config.ts';
import { runCommand } from '../../src/processes/child-process.ts';
import type { Bench } from '../bench.ts';
import { askStreaming } from '../client.ts';
import { percentile, until } from '../measure.ts';
import { Pipe } from '../pipe.ts';
import { cpuMs, peakRssMb, rssMb } from '../process-use.ts';
import { scenario } from '../scenario.ts';
import type { ServerProcess } from '../server-process.ts';

const count = 64;
const tokensPerSecond = 100;

export const streams = scenario({
  name: 'streams',
  about: `${count} streams of ${tokensPerSecond} tokens/s each from stub agents; the server and its agents share one core.`,
  figures: {
    tokens: { unit: 'count', about: 'tokens that were sent' },
    lost: { unit: 'count', about: 'tokens that did not arrive, arrived twice, or out of order' },
    cpu_per_token: { unit: 'µs', about: 'CPU of the server for a token' },
    delay_p50: { unit: 'ms', about: 'from the line that the agent prints to the client' },
    delay_p99: { unit: 'ms', about: 'the same, the slowest of a hundred' },
    rss_before: { unit: 'MB', about: 'memory of the server before' },
    rss_peak: { unit: 'MB', about: 'its maximum' },
  },
  async run(bench) {
    const settings = { MAX_CONCURRENT_RUNS: String(count), PREWARMED_AGENTS: '0', IDLE_AGENTS: '0' };
    const server = await bench.server('stub', settings);
    await pinToOneCore(bench, server);
    const rssBefore = rssMb(server.pid);
    const all = await Promise.all(Array.from({ length: count }, (_, index) => openStream(bench, server, index)));
    const perStream = tokensPerSecond * bench.pick(10, 4);
    // Each stream has its first chunk when its agent begins to work. Output before that waits in the pipe.
    await until('all streams are open', () => all.every(({ began }) => began()), 20_000);
    const cpuBefore = cpuMs(server.pid);
    await feed(
      all.map(({ send }) => send),
      perStream,
    );
    const ends = await Promise.all(all.map(({ finish }) => finish(perStream)));
    const spent = cpuMs(server.pid) - cpuBefore;
    const delays = ends.flatMap((end) => end.delays);
    return {
      tokens: count * perStream,
      lost: ends.reduce((sum, end) => sum + end.lost, 0),
      cpu_per_token: (spent * 1000) / (count * perStream),
      delay_p50: percentile(delays, 50),
      delay_p99: percentile(delays, 99),
      rss_before: rssBefore,
      rss_peak: peakRssMb(server.pid),
    };
  },
});

/** A stream whose n-th token is ` n`, so that each can be identified. */
async function openStream(bench: Bench, server: ServerProcess, index: number) {
  const name = `stream-${index}`;
  const pipe = new Pipe(await bench.makePipe(name));
  bench.releases.push(() => pipe.close());
  let began = false;
  const sentAt: number[] = [];
  const delays: number[] = [];
  const answer = askStreaming(server, [{ role: 'user', content: `Stream [[pipe ${name}]]` }], {
    onRole() {
      began = true;
      pipe.write(bench.recording.head);
    },
    onText(text) {
      const now = performance.now();
      for (let tokens = text.split(' ').length - 1; tokens > 0; tokens -= 1) {
        delays.push(now - (sentAt[delays.length] ?? now));
      }
    },
  });
  // An error is thrown where the promise is awaited.
  answer.catch(() => {});
  return {
    began: () => began,
    /** `false`: the agent is behind. */
    send(): boolean {
      const sent = pipe.write(bench.recording.delta(` ${sentAt.length}`));
      if (sent) sentAt.push(performance.now());
      return sent;
    },
    async finish(tokens: number): Promise<{ lost: number; delays: number[] }> {
      await pipe.end(bench.recording.tail);
      const got = (await answer).text.split(' ').slice(1);
      const right = got.filter((token, at) => token === String(at)).length;
      return { lost: tokens - right + (got.length - right), delays };
    },
  };
}

/** Keeps the overall pace, and spreads the streams evenly over the time between two tokens of one. */
async function feed(sends: (() => boolean)[], perStream: number): Promise<void> {
  const everyMs = 1000 / tokensPerSecond;
  const began = performance.now();
  const sent = sends.map(() => 0);
  while (sent.some((tokens) => tokens < perStream)) {
    const now = performance.now() - began;
    if (now > perStream * everyMs * 3) throw new Error('The agents fell behind by more than the time of the test');
    for (const [index, send] of sends.entries()) {
      const due = Math.min(perStream, Math.floor(now / everyMs + index / sends.length));
      while ((sent[index] ?? 0) < due && send()) sent[index] = (sent[index] ?? 0) + 1;
    }
    await sleep(1);
  }
}

/** The agents inherit the core: it does all the work except feeding and reading. */
async function pinToOneCore(bench: Bench, { pid }: ServerProcess): Promise<void> {
  const options = { cwd: '/', env: { PATH: hostEnvironment()['PATH'] }, timeoutMs: 5000 };
  const pinned = await runCommand('taskset', ['-apc', '0', String(pid)], options).catch(() => ({ code: 1 }));
  if (pinned.code !== 0) bench.note('streams: not held to one core, since taskset does not work here');
}

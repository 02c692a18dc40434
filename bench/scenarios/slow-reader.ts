/** Clients that stop reading while their agents print as fast as they can: the memory, and the time until they are disconnected. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from '../bench.ts';
import { percentile } from '../measure.ts';
import { Pipe } from '../pipe.ts';
import { descendants, peakRssMb, rssMb } from '../process-use.ts';
import { scenario } from '../scenario.ts';
import { type ServerProcess, token } from '../server-process.ts';

const readers = 4;
const limitSeconds = 3;
/** Two limits of the server one after the other: for the slow reader, and for the client that has gone. */
const patienceMs = 20_000;

export const slowReader = scenario({
  name: 'slow_reader',
  about: `${readers} clients stop reading (SLOW_READER_SECONDS=${limitSeconds}) while stub agents print as fast as they are read.`,
  figures: {
    agents_left: { unit: 'count', about: `agents that still ran after ${patienceMs / 1000} s` },
    ended_after: { unit: 's', about: 'from the last byte that a client read to the end of the last agent' },
    printed: { unit: 'MB', about: 'the output of the agents meanwhile' },
    rss_growth: { unit: 'MB', about: "how far the server's memory grew at most" },
    others_p50: { unit: 'ms', about: 'GET /health meanwhile, for a client that reads' },
    others_worst: { unit: 'ms', about: 'the slowest of them' },
  },
  async run(bench) {
    const server = await bench.server('stub', {
      ...{ MAX_CONCURRENT_RUNS: String(readers), PREWARMED_AGENTS: '0', IDLE_AGENTS: '0' },
      SLOW_READER_SECONDS: String(limitSeconds),
    });
    const before = rssMb(server.pid);
    const pipes = await Promise.all(
      Array.from({ length: readers }, (_, index) => stopReading(bench, server, `slow-${index}`)),
    );
    const began = performance.now();
    const others: number[] = [];
    let printed = 0;
    let nextLook = 0;
    const running = () => descendants(server.pid).length;
    while (performance.now() - began < patienceMs) {
      for (const pipe of pipes) printed += flood(pipe, bench.recording.delta(' word'));
      if (performance.now() > nextLook) {
        if (performance.now() - began > 1000 && running() === 0) break;
        others.push(await healthMs(server));
        nextLook = performance.now() + 100;
      }
      await sleep(1);
    }
    return {
      agents_left: running(),
      ended_after: (performance.now() - began) / 1000,
      printed: printed / 1e6,
      rss_growth: peakRssMb(server.pid) - before,
      others_p50: percentile(others, 50),
      others_worst: percentile(others, 100),
    };
  },
});

/** Resolves when the answer has begun. The rest of it is not read. */
async function stopReading(bench: Bench, { url }: ServerProcess, name: string): Promise<Pipe> {
  const pipe = new Pipe(await bench.makePipe(name));
  bench.releases.push(() => pipe.close());
  const messages = [{ role: 'user', content: `Stream [[pipe ${name}]]` }];
  const body = JSON.stringify({ model: 'haiku', stream: true, messages });
  const head = [
    'POST /openai/v1/chat/completions HTTP/1.1',
    'host: 127.0.0.1',
    `authorization: Bearer ${token}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  const socket: Socket = connect(Number(new URL(url).port), '127.0.0.1');
  bench.releases.push(() => void socket.destroy());
  socket.on('error', () => {});
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  await once(socket, 'data');
  socket.pause();
  pipe.write(bench.recording.head);
  return pipe;
}

/** Writes as much as the agent has read since the last call. @returns bytes */
function flood(pipe: Pipe, line: string): number {
  let bytes = 0;
  while (bytes < 65_536 && pipe.write(line)) bytes += line.length;
  return bytes;
}

async function healthMs({ url }: ServerProcess): Promise<number> {
  const began = performance.now();
  await (await fetch(`${url}/health`)).arrayBuffer();
  return performance.now() - began;
}

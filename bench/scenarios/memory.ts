/** What the server holds in memory when nothing happens: alone, with agents kept ready, with clients that stay connected. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from '../bench.ts';
import { askStreaming } from '../client.ts';
import { quiet } from '../measure.ts';
import { descendants, pssMb, rssMb } from '../process-use.ts';
import { scenario } from '../scenario.ts';
import type { ServerProcess } from '../server-process.ts';

const connections = 1000;
const spares = 4;
/** Fewer than AGENT_MAX_TURNS, after which a process is not used again. */
const turnsServed = 15;

export const memory = scenario({
  name: 'memory',
  about: 'Memory at rest; RSS of the server, PSS (shared pages divided) of agents.',
  figures: {
    idle_rss: { unit: 'MB', about: 'the server, started and asked for its health' },
    connections_rss: { unit: 'MB', about: `the same with ${connections} idle connections` },
    connections_growth: { unit: 'MB', about: 'what these connections take' },
    spares_rss: { unit: 'MB', about: `a server that keeps ${spares} agents ready, without them` },
    spare_pss: { unit: 'MB', about: 'one agent that is kept ready, with its sandbox' },
    rested_pss: { unit: 'MB', about: `one agent that rests after ${turnsServed} turns` },
  },
  async run(bench) {
    const idle = await bench.server('claude', { PREWARMED_AGENTS: '0' });
    await quiet([idle.pid]);
    const idleRss = rssMb(idle.pid);
    const sockets = await connectIdle(idle);
    bench.releases.push(() => {
      for (const socket of sockets) socket.destroy();
    });
    await quiet([idle.pid]);
    const connectionsRss = rssMb(idle.pid);

    const ready = await bench.server('claude', { PREWARMED_AGENTS: String(spares) });
    // Starting takes less than a second each; then nothing goes on.
    await sleep(1000);
    await quiet([ready.pid], 15_000);
    const agents = pssMb(descendants(ready.pid));
    const rested = await pssOfRested(bench);
    if (agents === undefined) bench.note('memory: no PSS, since /proc does not show it to this user');
    return {
      idle_rss: idleRss,
      connections_rss: connectionsRss,
      connections_growth: connectionsRss - idleRss,
      spares_rss: rssMb(ready.pid),
      spare_pss: agents === undefined ? undefined : agents / spares,
      rested_pss: rested,
    };
  },
});

async function pssOfRested(bench: Bench): Promise<number | undefined> {
  const server = await bench.server('claude', { PREWARMED_AGENTS: '0', IDLE_AGENTS: '1' });
  for (let turn = 0; turn < turnsServed; turn += 1) {
    await askStreaming(server, [{ role: 'user', content: `Question ${turn} [[words: 50]]` }]);
    await sleep(30);
  }
  await quiet([server.pid]);
  return pssMb(descendants(server.pid));
}

/** Each has asked for the health once, as clients that keep their connection do. */
async function connectIdle({ url }: ServerProcess): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let index = 0; index < connections; index += 1) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    sockets.push(socket);
    socket.write('GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
    await once(socket, 'data');
  }
  return sockets;
}

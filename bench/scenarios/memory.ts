/** The memory of the server without load: alone, with prewarmed and idle agents, with connected clients. */
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
const prewarmed = 4;
/** Below AGENT_MAX_TURNS, after which a process is not used again. */
const turnsServed = 15;

export const memory = scenario({
  name: 'memory',
  about: 'Memory without load; RSS of the server, PSS (shared pages divided) of agents.',
  figures: {
    server_rss: { unit: 'MB', about: 'the server, started and asked for its health' },
    connections_rss: { unit: 'MB', about: `the same with ${connections} idle connections` },
    connections_growth: { unit: 'MB', about: 'the memory of these connections' },
    prewarmed_rss: { unit: 'MB', about: `a server with ${prewarmed} prewarmed agents, without them` },
    prewarmed_pss: { unit: 'MB', about: 'one prewarmed agent, with its sandbox' },
    idle_pss: { unit: 'MB', about: `one idle agent after ${turnsServed} turns` },
  },
  async run(bench) {
    const empty = await bench.server('claude', { PREWARMED_AGENTS: '0' });
    await quiet([empty.pid]);
    const serverRss = rssMb(empty.pid);
    const sockets = await connectIdle(empty);
    bench.releases.push(() => {
      for (const socket of sockets) socket.destroy();
    });
    await quiet([empty.pid]);
    const connectionsRss = rssMb(empty.pid);

    const ready = await bench.server('claude', { PREWARMED_AGENTS: String(prewarmed) });
    // Each start takes less than a second.
    await sleep(1000);
    await quiet([ready.pid], 15_000);
    const agents = pssMb(descendants(ready.pid));
    const idleAgent = await pssOfIdle(bench);
    if (agents === undefined) bench.note('memory: no PSS, since /proc does not show it to this user');
    return {
      server_rss: serverRss,
      connections_rss: connectionsRss,
      connections_growth: connectionsRss - serverRss,
      prewarmed_rss: rssMb(ready.pid),
      prewarmed_pss: agents === undefined ? undefined : agents / prewarmed,
      idle_pss: idleAgent,
    };
  },
});

async function pssOfIdle(bench: Bench): Promise<number | undefined> {
  const server = await bench.server('claude', { PREWARMED_AGENTS: '0', IDLE_AGENTS: '1' });
  for (let turn = 0; turn < turnsServed; turn += 1) {
    await askStreaming(server, [{ role: 'user', content: `Question ${turn} [[words: 50]]` }]);
    await sleep(30);
  }
  await quiet([server.pid]);
  return pssMb(descendants(server.pid));
}

/** Each has requested `/health` once and keeps its connection. */
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

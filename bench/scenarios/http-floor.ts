/** The HTTP edge compared with a bare Fastify: the same answers and the same client, alternately. */
import { fileURLToPath } from 'node:url';
import type { Bench } from '../bench.ts';
import { end, printed, start } from '../child.ts';
import { ratio } from '../measure.ts';
import { cpuMs } from '../process-use.ts';
import { type RawRequest, rawLoad } from '../raw-load.ts';
import { scenario } from '../scenario.ts';
import { type ServerProcess, token } from '../server-process.ts';

type Peer = { url: string; pid: number };
type Cost = { perSecond: number; cpuUs: number };

const clients = 16;

export const httpFloor = scenario({
  name: 'http_floor',
  about: `The server beside a bare Fastify that answers the same JSON, ${clients} connections, alternately; no agent.`,
  figures: {
    health_cpu: { unit: 'µs', about: 'CPU of GET /health' },
    health_floor_cpu: { unit: 'µs', about: 'the same of bare Fastify' },
    health_over_floor: { unit: '×', about: 'the two' },
    health_per_second: { unit: 'per s', about: 'GET /health' },
    health_floor_per_second: { unit: 'per s', about: 'the same of bare Fastify' },
    refusal_cpu: { unit: 'µs', about: 'CPU of a chat request that is read, validated and refused (unknown model)' },
    refusal_floor_cpu: { unit: 'µs', about: 'the same body parsed and the same answer given by bare Fastify' },
    refusal_over_floor: { unit: '×', about: 'the two' },
    refusal_per_second: { unit: 'per s', about: 'chat requests that are refused' },
    refusal_floor_per_second: { unit: 'per s', about: 'the same of bare Fastify' },
  },
  async run(bench) {
    const server = await bench.server('stub', { PREWARMED_AGENTS: '0' });
    const floor = await startFloor(bench, server);
    const health = await compare(bench, server, floor, { method: 'GET', path: '/health' }, 200);
    const refusal = await compare(bench, server, floor, refused, 400);
    return {
      health_cpu: health.ours.cpuUs,
      health_floor_cpu: health.floor.cpuUs,
      health_over_floor: ratio(health.ours.cpuUs, health.floor.cpuUs),
      health_per_second: health.ours.perSecond,
      health_floor_per_second: health.floor.perSecond,
      refusal_cpu: refusal.ours.cpuUs,
      refusal_floor_cpu: refusal.floor.cpuUs,
      refusal_over_floor: ratio(refusal.ours.cpuUs, refusal.floor.cpuUs),
      refusal_per_second: refusal.ours.perSecond,
      refusal_floor_per_second: refusal.floor.perSecond,
    };
  },
});

const refused: RawRequest = {
  method: 'POST',
  path: '/v1/chat/completions',
  headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  body: JSON.stringify({
    model: 'no-such-model',
    messages: [
      { role: 'system', content: 'You are brief.' },
      { role: 'user', content: 'What is the capital of France?' },
    ],
    temperature: 0.2,
  }),
};

/** Bare Fastify with the answers that the server gives. */
async function startFloor(bench: Bench, server: ServerProcess): Promise<Peer> {
  const health = await (await fetch(`${server.url}/health`)).text();
  const refusal = await (await fetch(server.url + refused.path, refused)).text();
  const program = fileURLToPath(new URL('../processes/bare-fastify.ts', import.meta.url));
  const child = start(process.execPath, [program, health, refusal], { stdio: ['pipe', 'pipe', 'inherit'] });
  bench.releases.push(() => end(child));
  return { url: await printed(child, /^listens on (\S+)/), pid: child.pid };
}

async function compare(bench: Bench, server: Peer, floor: Peer, request: RawRequest, status: number) {
  const total = { ours: { count: 0, seconds: 0, cpu: 0 }, floor: { count: 0, seconds: 0, cpu: 0 } };
  const blocks = bench.pick(4, 2);
  for (let block = 0; block <= blocks; block += 1) {
    for (const [name, peer] of [['ours', server] as const, ['floor', floor] as const]) {
      const before = cpuMs(peer.pid);
      const loop = await rawLoad(peer.url, request, { clients, ms: bench.pick(1500, 400), status });
      // The first block runs cold code, and is not counted.
      if (block === 0) continue;
      total[name].count += loop.count;
      total[name].seconds += loop.seconds;
      total[name].cpu += cpuMs(peer.pid) - before;
    }
  }
  return { ours: costOf(total.ours), floor: costOf(total.floor) };
}

function costOf({ count, seconds, cpu }: { count: number; seconds: number; cpu: number }): Cost {
  return { perSecond: count / seconds, cpuUs: (cpu * 1000) / count };
}

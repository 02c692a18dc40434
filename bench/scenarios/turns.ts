/** How many turns a machine can do, and the cost of one, including the work of the agent. */
import { freemem } from 'node:os';
import type { Bench } from '../bench.ts';
import { askStreaming } from '../client.ts';
import { closedLoop, quiet, ratio } from '../measure.ts';
import { TreeCpu } from '../process-use.ts';
import { scenario } from '../scenario.ts';
import type { ServerProcess } from '../server-process.ts';

/** The peak memory of one CLI process. A level that does not fit into the memory is left out. */
const bytesPerAgent = 400e6;

type Level = { perSecond: number; cpuMs: number; share: number };

export const turns = scenario({
  name: 'turns',
  about:
    'Clients that ask the next question as soon as they have an answer: new processes, kept ones, and the default settings.',
  figures: {
    new_1_per_second: { unit: 'per s', about: 'turns, each in a new process, 1 client' },
    new_4_per_second: { unit: 'per s', about: 'the same, 4 clients' },
    new_16_per_second: { unit: 'per s', about: 'the same, 16 clients' },
    kept_1_per_second: { unit: 'per s', about: 'turns in processes that are reset and used again, 1 client' },
    kept_4_per_second: { unit: 'per s', about: 'the same, 4 clients' },
    kept_16_per_second: { unit: 'per s', about: 'the same, 16 clients' },
    default_4_per_second: { unit: 'per s', about: 'turns with the default settings, 4 clients' },
    new_1_cpu: { unit: 'ms', about: 'CPU of a turn in a new process, server and agents together, 1 client' },
    new_4_cpu: { unit: 'ms', about: 'the same, 4 clients' },
    new_16_cpu: { unit: 'ms', about: 'the same, 16 clients' },
    kept_1_cpu: { unit: 'ms', about: 'CPU of a turn in a process that is used again, 1 client' },
    kept_4_cpu: { unit: 'ms', about: 'the same, 4 clients' },
    kept_16_cpu: { unit: 'ms', about: 'the same, 16 clients' },
    default_4_cpu: { unit: 'ms', about: 'CPU of a turn with the default settings, 4 clients' },
    kept_share: { unit: '×', about: 'the share of turns intended for kept processes that found one' },
    kept_over_new_1: { unit: '×', about: 'turns per second, 1 client' },
    kept_over_new_4: { unit: '×', about: 'turns per second, 4 clients' },
    kept_over_new_16: { unit: '×', about: 'turns per second, 16 clients' },
    default_over_new_4: { unit: '×', about: 'turns per second, 4 clients' },
  },
  async run(bench) {
    const slots = { MAX_CONCURRENT_RUNS: '16' };
    const fresh = await bench.server('claude', { ...slots, PREWARMED_AGENTS: '0', IDLE_AGENTS: '0' });
    const kept = await bench.server('claude', { ...slots, PREWARMED_AGENTS: '0', IDLE_AGENTS: '16' });
    const [new1, kept1] = [await level(bench, fresh, 1, false), await level(bench, kept, 1, true)];
    const [new4, kept4] = [await level(bench, fresh, 4, false), await level(bench, kept, 4, true)];
    const [new16, kept16] = [await level(bench, fresh, 16, false), await level(bench, kept, 16, true)];
    await Promise.all([fresh.stop(), kept.stop()]);
    const usual = await level(bench, await bench.server('claude'), 4, true);
    return {
      new_1_per_second: new1?.perSecond,
      new_4_per_second: new4?.perSecond,
      new_16_per_second: new16?.perSecond,
      kept_1_per_second: kept1?.perSecond,
      kept_4_per_second: kept4?.perSecond,
      kept_16_per_second: kept16?.perSecond,
      default_4_per_second: usual?.perSecond,
      new_1_cpu: new1?.cpuMs,
      new_4_cpu: new4?.cpuMs,
      new_16_cpu: new16?.cpuMs,
      kept_1_cpu: kept1?.cpuMs,
      kept_4_cpu: kept4?.cpuMs,
      kept_16_cpu: kept16?.cpuMs,
      default_4_cpu: usual?.cpuMs,
      kept_share: kept4?.share,
      kept_over_new_1: ratio(kept1?.perSecond, new1?.perSecond),
      kept_over_new_4: ratio(kept4?.perSecond, new4?.perSecond),
      kept_over_new_16: ratio(kept16?.perSecond, new16?.perSecond),
      default_over_new_4: ratio(usual?.perSecond, new4?.perSecond),
    };
  },
});

/** If processes are kept, first one round of turns to start them; then the load that counts. */
async function level(bench: Bench, server: ServerProcess, clients: number, keeps: boolean): Promise<Level | undefined> {
  if (clients > bench.pick(16, 4)) return undefined;
  if (freemem() < clients * bytesPerAgent) {
    bench.note(`turns with ${clients} clients left out: ${Math.round(freemem() / 1e6)} MB of memory are free`);
    return undefined;
  }
  const runs: string[] = [];
  const once = async (index: number) => {
    const { runId } = await askStreaming(server, [{ role: 'user', content: `Question ${index} [[words: 8]]` }]);
    runs.push(runId);
  };
  if (keeps) await closedLoop({ clients, maxMs: 10_000, maxCount: clients }, once);
  await quiet([server.pid]);
  runs.length = 0;
  const cpu = new TreeCpu(server.pid);
  const loop = await closedLoop({ clients, maxMs: bench.pick(6000, 1500), maxCount: 2000 }, once);
  await quiet([server.pid]);
  const cpuMs = cpu.stop() / loop.count;
  const starts = await Promise.all(runs.map((run) => server.startOf(run)));
  const share = starts.filter((how) => how === 'reset').length / starts.length;
  return { perSecond: loop.perSecond, cpuMs, share };
}

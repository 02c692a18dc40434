/** The server's own CPU for one completion; the agent is a stub, whose cost is not counted. */
import { askWhole } from '../client.ts';
import { closedLoop, quiet } from '../measure.ts';
import { cpuMs } from '../process-use.ts';
import { scenario } from '../scenario.ts';
import type { ServerProcess } from '../server-process.ts';

export const completions = scenario({
  name: 'completions',
  about: 'Completions from a stub that prints the recorded output of the real agent at once; two clients.',
  figures: {
    native_cpu: { unit: 'ms', about: 'CPU of the server for a completion through /v1: a process each' },
    openai_new_cpu: { unit: 'ms', about: 'the same through /openai/v1, in a new process each' },
    openai_kept_cpu: { unit: 'ms', about: 'the same in processes that are reset and used again' },
    native_per_second: { unit: 'per s', about: 'completions through /v1, stub and all' },
    openai_kept_per_second: { unit: 'per s', about: 'completions through /openai/v1 in kept processes, stub and all' },
  },
  async run(bench) {
    const anew = await bench.server('stub', { PREWARMED_AGENTS: '0', IDLE_AGENTS: '0' });
    const kept = await bench.server('stub', { PREWARMED_AGENTS: '0', IDLE_AGENTS: '4', AGENT_MAX_TURNS: '10000' });
    const load = async (server: ServerProcess, api: '/v1' | '/openai/v1', maxCount: number) => {
      const once = (index: number) => askWhole(server, api, [{ role: 'user', content: `Question ${index}` }]);
      // Code that runs for the first time is slow, and not typical of a server.
      await closedLoop({ clients: 2, maxMs: bench.pick(4000, 800), maxCount: 200 }, once);
      await quiet([server.pid]);
      const before = cpuMs(server.pid);
      const loop = await closedLoop({ clients: 2, maxMs: bench.pick(12_000, 1800), maxCount }, once);
      await quiet([server.pid]);
      return { cpu: (cpuMs(server.pid) - before) / loop.count, perSecond: loop.perSecond };
    };
    const native = await load(anew, '/v1', bench.pick(600, 300));
    const openaiNew = await load(anew, '/openai/v1', bench.pick(600, 300));
    const openaiKept = await load(kept, '/openai/v1', bench.pick(3000, 1000));
    return {
      native_cpu: native.cpu,
      openai_new_cpu: openaiNew.cpu,
      openai_kept_cpu: openaiKept.cpu,
      native_per_second: native.perSecond,
      openai_kept_per_second: openaiKept.perSecond,
    };
  },
});

/** The cost that the native API adds to the command: `/v1` and bare `claude -p`, alternately. */
import { askWhole } from '../client.ts';
import { closedLoop, difference, type Loop, median, percentile, quiet, ratio } from '../measure.ts';
import { scenario } from '../scenario.ts';

/** The number of cores of the machine that the budget is made for. */
const clients = 2;

export const nativeApi = scenario({
  name: 'native_api',
  about:
    'The same short prompt through /v1 and by claude -p without a server: one at a time, then two at once, alternately.',
  figures: {
    bare_p50: { unit: 'ms', about: 'claude -p --output-format json without a server' },
    native_p50: { unit: 'ms', about: 'a completion through /v1' },
    native_p99: { unit: 'ms', about: 'the same, the slowest of a hundred' },
    added_p50: { unit: 'ms', about: 'the difference of the two' },
    native_over_bare: { unit: '×', about: 'the two latencies' },
    bare_per_second: { unit: 'per s', about: 'answers of claude -p, two at once' },
    native_per_second: { unit: 'per s', about: 'completions through /v1, two at once' },
    native_over_bare_per_second: { unit: '×', about: 'the two rates' },
  },
  async run(bench) {
    const server = await bench.server('claude', { PREWARMED_AGENTS: '0', MAX_CONCURRENT_RUNS: String(clients) });
    const prompt = 'Question [[words: 8]]';
    const viaDoor = () => askWhole(server, '/v1', [{ role: 'user', content: prompt }]);
    await viaDoor();
    const bare: number[] = [];
    const api: number[] = [];
    for (let round = 0; round < bench.pick(10, 3); round += 1) {
      bare.push(await bench.bareClaude(prompt));
      api.push((await viaDoor()).totalMs);
    }
    const bareLoops: Loop[] = [];
    const doorLoops: Loop[] = [];
    const bounds = { clients, maxMs: bench.pick(4000, 1500), maxCount: 100 };
    for (let block = 0; block < bench.pick(3, 1); block += 1) {
      bareLoops.push(await closedLoop(bounds, () => bench.bareClaude(prompt)));
      doorLoops.push(await closedLoop(bounds, viaDoor));
      await quiet([server.pid]);
    }
    const [barePerSecond, doorPerSecond] = [rateOf(bareLoops), rateOf(doorLoops)];
    return {
      bare_p50: median(bare),
      native_p50: median(api),
      native_p99: percentile(api, 99),
      added_p50: difference(median(api), median(bare)),
      native_over_bare: ratio(median(api), median(bare)),
      bare_per_second: barePerSecond,
      native_per_second: doorPerSecond,
      native_over_bare_per_second: ratio(doorPerSecond, barePerSecond),
    };
  },
});

function rateOf(loops: Loop[]): number {
  const count = loops.reduce((sum, loop) => sum + loop.count, 0);
  return count / loops.reduce((sum, loop) => sum + loop.seconds, 0);
}

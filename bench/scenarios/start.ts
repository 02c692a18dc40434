/** The time to start the server. */
import { once } from 'node:events';
import { start as startChild } from '../child.ts';
import { median, percentile, ratio } from '../measure.ts';
import { scenario } from '../scenario.ts';

export const start = scenario({
  name: 'start',
  about: 'Starts the server repeatedly, each time on a new data folder, with the default settings.',
  figures: {
    ready_p50: { unit: 'ms', about: 'from the start of the process to the first 200 of GET /health' },
    ready_worst: { unit: 'ms', about: 'the slowest of them' },
    node_p50: { unit: 'ms', about: 'Node alone, started with nothing to do' },
    ready_over_node: { unit: '×', about: 'ready, in starts of Node alone' },
  },
  async run(bench) {
    const ready: number[] = [];
    const node: number[] = [];
    for (let round = 0; round < bench.pick(8, 3); round += 1) {
      node.push(await startNode());
      const server = await bench.server('claude');
      ready.push(server.readyMs);
      await server.stop();
    }
    return {
      ready_p50: median(ready),
      ready_worst: percentile(ready, 100),
      node_p50: median(node),
      ready_over_node: ratio(median(ready), median(node)),
    };
  },
});

async function startNode(): Promise<number> {
  const began = performance.now();
  await once(startChild(process.execPath, ['--eval', '0'], { stdio: 'ignore' }), 'exit');
  return performance.now() - began;
}

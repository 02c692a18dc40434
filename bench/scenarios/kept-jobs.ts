/** The cost of ten thousand finished jobs for the server that keeps them: memory, and time to start. */
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { openJobStore } from '../../src/store/open-store.ts';
import { difference, quiet } from '../measure.ts';
import { rssMb } from '../process-use.ts';
import { scenario } from '../scenario.ts';
import { token } from '../server-process.ts';

const count = 10_000;

export const keptJobs = scenario({
  name: 'kept_jobs',
  about: `A server on a data folder with ${count} finished jobs, beside one on an empty folder.`,
  figures: {
    rss: { unit: 'MB', about: 'memory of the server with them' },
    rss_growth: { unit: 'MB', about: 'the growth over a server without them' },
    ready: { unit: 'ms', about: 'from the start of the process to the first 200 of GET /health, with them' },
    list: { unit: 'ms', about: 'GET /jobs' },
  },
  async run(bench) {
    const dataDir = bench.scratch('kept-jobs');
    // In memory: on a disk, filling the store would wait forty thousand times.
    const ram = existsSync('/dev/shm') ? mkdtempSync('/dev/shm/kept-jobs-') : bench.scratch('kept-jobs');
    bench.releases.push(() => rmSync(ram, { recursive: true, force: true }));
    await fill(ram);
    cpSync(ram, dataDir, { recursive: true });
    const empty = await bench.server('stub', { PREWARMED_AGENTS: '0' });
    const full = await bench.server('stub', { PREWARMED_AGENTS: '0', DATA_DIR: dataDir });
    await quiet([empty.pid, full.pid]);
    const [rssFull, rssEmpty] = [rssMb(full.pid), rssMb(empty.pid)];
    const began = performance.now();
    const page = await fetch(`${full.url}/jobs`, { headers: { authorization: `Bearer ${token}` } });
    await page.arrayBuffer();
    return {
      rss: rssFull,
      rss_growth: difference(rssFull, rssEmpty),
      ready: full.readyMs,
      list: performance.now() - began,
    };
  },
});

/** Writes the jobs through the store, each with a few events and a page of output. */
async function fill(dataDir: string): Promise<void> {
  const store = await openJobStore({
    dataDir,
    databaseUrl: undefined,
    workerTimeoutMs: 30_000,
    onError: () => {},
    log: { failed: () => {}, works: () => {} },
  });
  const limits = { runMs: 60_000, stallMs: 0, waitMs: 0, budgetUsd: 1 };
  const spec = { prompt: 'Count the files', owner: 'benchmark', model: 'haiku', limits };
  for (let index = 0; index < count; index += 1) {
    await store.submit({ ...spec, priority: 0, onInterrupt: 'mark' }, { maxWaiting: 10, fingerprint: 'none' });
    const job = await store.claim();
    if (!job) throw new Error('Cannot fill the store: a submitted job does not wait');
    const text = `There are ${index} files. `.repeat(40);
    await store.appendEvents(job, job.lastSeq, [{ at: Date.now(), body: { type: 'text', text } }]);
    await store.finish(job, { state: 'completed', output: text, stderr: '', result: text });
  }
  await store.close();
}

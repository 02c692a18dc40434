/** A worker in a process of its own, for tests that kill it: `node job-worker.ts DATABASE_URL NAME`. Prints `ready`. */
import { openPostgresStore } from '../../src/store/postgres-engine.ts';
import { outcome, startJobs, untilAborted } from './jobs.ts';

const [url = '', name = ''] = process.argv.slice(2);
const store = await openPostgresStore({
  url,
  workerTimeoutMs: 15_000,
  onError: () => {},
  log: { failed: () => {}, works: () => {} },
});

/** The prompt is the number of steps of 10 ms, each with an event, or `for ever`. */
await startJobs(store, async (task, { signal, emit }) => {
  const [block] = task.messages[0]?.blocks ?? [];
  const prompt = block?.type === 'text' ? block.text : '';
  emit({ type: 'text', text: `${name}:` });
  if (prompt === 'for ever') return untilAborted(signal);
  for (let step = 0; step < Number(prompt); step += 1) {
    signal.throwIfAborted();
    emit({ type: 'text', text: `${step} ` });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return outcome(name);
});
process.stdout.write('ready\n');

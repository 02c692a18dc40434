/** The process: arguments, signals, exit. The only place that ends it. */
import { parseCommand } from './commands/command.ts';

const { run } = parseCommand(process.argv.slice(2));
const stop = new AbortController();
const stopNow = new AbortController();

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) stopNow.abort(signal);
    else stop.abort(signal);
  });
}

try {
  process.exitCode = await run({
    stop: stop.signal,
    stopNow: stopNow.signal,
    print: (line) => process.stdout.write(`${line}\n`),
  });
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
// Whatever might still hold the event loop, the work is done.
process.exit();

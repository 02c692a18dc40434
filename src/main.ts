/** The process: arguments, signals, exit. The only place that ends it. */
import { parseCommand } from './cli/command.ts';

const { run } = parseCommand(process.argv.slice(2));
const stop = new AbortController();
const stopNow = new AbortController();
const outputClosed = new AbortController();

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) stopNow.abort(signal);
    else stop.abort(signal);
  });
}

// Who read the output may have had enough of it, as `head` has.
process.stdout.on('error', () => outputClosed.abort());

try {
  process.exitCode = await run({
    stop: stop.signal,
    stopNow: stopNow.signal,
    outputClosed: outputClosed.signal,
    terminal: process.stdout.isTTY === true,
    print: (line) => process.stdout.write(`${line}\n`),
    tell: (text) => process.stderr.write(text),
  });
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
// To a pipe it is written later.
await new Promise((written) => process.stdout.write('', written));
// Whatever might still hold the event loop, the work is done.
process.exit();

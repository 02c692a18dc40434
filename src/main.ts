/** The process: its arguments, its signals, and the only place that ends it. */
import { text } from 'node:stream/consumers';
import { parseCommand } from './cli/command.ts';

const { run } = parseCommand(process.argv.slice(2));
const stop = new AbortController();
const stopNow = new AbortController();
const outputClosed = new AbortController();

/**
 * How long after a signal the same signal does not count as a second one, in milliseconds. For one Ctrl-C a process below
 * npm gets two: the terminal sends one to all processes, and npm passes its own on.
 */
const echoMs = 100;
let first: { signal: string; atMs: number } | undefined;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    const atMs = performance.now();
    if (first?.signal === signal && atMs - first.atMs < echoMs) return;
    if (first) stopNow.abort(signal);
    else stop.abort(signal);
    first ??= { signal, atMs };
  });
}

// The reader of the output may close it early, as `head` does.
process.stdout.on('error', () => outputClosed.abort());

try {
  process.exitCode = await run({
    stop: stop.signal,
    stopNow: stopNow.signal,
    outputClosed: outputClosed.signal,
    terminal: process.stdout.isTTY === true,
    errorTerminal: process.stderr.isTTY === true,
    width: process.stdout.isTTY ? process.stdout.columns : undefined,
    readInput: () => text(process.stdin),
    print: (line) => process.stdout.write(`${line}\n`),
    report: (text) => process.stderr.write(text),
  });
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
// Output to a pipe is written asynchronously.
await new Promise((written) => process.stdout.write('', written));
// The work is done, even if something still holds the event loop.
process.exit();

/** The benchmark's own processes: started, watched for an early end, ended. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** In the benchmark's own process group, so that an interrupt from the terminal reaches it too. */
export function start(command: string, args: string[], options: SpawnOptions): ChildProcess & { pid: number } {
  const child = spawn(command, args, options);
  child.on('error', () => {});
  if (child.pid === undefined) throw new Error(`Cannot start ${command}`);
  return child as ChildProcess & { pid: number };
}

/** The first match of the pattern in its standard output. Throws when the process ends first, or prints no match in time. */
export async function printed(child: ChildProcess, pattern: RegExp, limitMs = 15_000): Promise<string> {
  const found = Promise.withResolvers<string>();
  createInterface(child.stdout as Readable).on('line', (line) => {
    const [, part] = pattern.exec(line) ?? [];
    if (part !== undefined) found.resolve(part);
  });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${child.spawnargs.join(' ')} ended with status ${code} before it printed ${pattern}`);
  });
  const silent = sleep(limitMs, undefined, { ref: false }).then(() => {
    throw new Error(`${child.spawnargs.join(' ')} printed no ${pattern} within ${limitMs} ms`);
  });
  return Promise.race([found.promise, ended, silent]);
}

/** SIGTERM, once more, SIGKILL: the server ends its agents at the second. */
export async function end(child: ChildProcess): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGTERM', 'SIGKILL'] as const) {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await Promise.race([exited, sleep(signal === 'SIGTERM' ? 2500 : 10_000, undefined, { ref: false })]);
  }
}

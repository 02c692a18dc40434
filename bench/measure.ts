/** Measuring for all scenarios: percentiles, loads with a limit, waiting until a machine is quiet. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TreeCpu } from './process-use.ts';

/** Nearest rank: with fewer than a hundred values the 99th percentile is the largest. `undefined` of nothing. */
export function percentile(values: number[], percent: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
}

export function median(values: number[]): number | undefined {
  return percentile(values, 50);
}

/** `undefined` if either is missing. */
export function ratio(value: number | undefined, to: number | undefined): number | undefined {
  return value === undefined || to === undefined || to === 0 ? undefined : value / to;
}

export function difference(value: number | undefined, from: number | undefined): number | undefined {
  return value === undefined || from === undefined ? undefined : value - from;
}

/** Waits until the process trees use almost no CPU, so that one measurement does not include work of another. */
export async function quiet(roots: number[], limitMs = 4000): Promise<void> {
  const trees = roots.map((root) => new TreeCpu(root));
  const spent = () => trees.reduce((sum, tree) => sum + tree.ms(), 0);
  const end = performance.now() + limitMs;
  for (let [before, now] = [Number.NEGATIVE_INFINITY, spent()]; now - before > 20 && performance.now() < end; ) {
    await sleep(120);
    [before, now] = [now, spent()];
  }
  for (const tree of trees) tree.stop();
}

export type Loop = { count: number; seconds: number; perSecond: number };

/**
 * Clients that send the next request as soon as they have an answer. No request begins after `maxMs` or beyond
 * `maxCount`; the time until the last answer counts.
 */
export async function closedLoop(
  { clients, maxMs, maxCount }: { clients: number; maxMs: number; maxCount: number },
  once: (index: number) => Promise<unknown>,
): Promise<Loop> {
  const began = performance.now();
  let count = 0;
  const client = async () => {
    while (count < maxCount && performance.now() - began < maxMs) {
      count += 1;
      await once(count);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const seconds = (performance.now() - began) / 1000;
  return { count, seconds, perSecond: count / seconds };
}

/** Throws when the condition does not hold in time. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, limitMs: number): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Waited ${limitMs} ms in vain: ${what}`);
    await sleep(10);
  }
}

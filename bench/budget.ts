/** The budget: the limits of the figures. Ratios within one run hold on any machine; absolute limits are generous. */
import { readFileSync } from 'node:fs';
import type { Figures } from './scenario.ts';

/** Names of figures, such as `streams.cpu_per_token`, each with its limit. */
export type Budget = { atMost: Record<string, number>; atLeast: Record<string, number> };

export function readBudget(): Budget {
  return JSON.parse(readFileSync(new URL('budget.json', import.meta.url), 'utf8')) as Budget;
}

/** The limit as the table shows it; empty if there is none. */
export function limitOf({ atMost, atLeast }: Budget, name: string): string {
  const limits = [
    atMost[name] === undefined ? '' : `≤ ${atMost[name]}`,
    atLeast[name] === undefined ? '' : `≥ ${atLeast[name]}`,
  ];
  return limits.filter(Boolean).join(', ');
}

/** A sentence for each figure beyond its limit, and for each selected figure without a value. */
export function breaches({ atMost, atLeast }: Budget, figures: Figures, wanted: (name: string) => boolean): string[] {
  const check = (limits: Record<string, number>, word: string, holds: (value: number, limit: number) => boolean) =>
    Object.entries(limits).flatMap(([name, limit]) => {
      const value = figures[name];
      if (!wanted(name)) return [];
      if (value === undefined || Number.isNaN(value))
        return [`${name} was not measured; the budget is ${word} ${limit}`];
      return holds(value, limit) ? [] : [`${name} is ${value.toPrecision(3)}; the budget is ${word} ${limit}`];
    });
  return [
    ...check(atMost, 'at most', (value, limit) => value <= limit),
    ...check(atLeast, 'at least', (value, limit) => value >= limit),
  ];
}

/** The figures of a run as one table, readable in a terminal and as Markdown. */
import { type Budget, limitOf } from './budget.ts';
import { type Figures, figureName, type Scenario } from './scenario.ts';

export function tableOf(scenarios: readonly Scenario[], figures: Figures, budget: Budget): string {
  const rows = scenarios.flatMap((from) =>
    Object.entries(from.figures).map(([figure, { unit, about }]) => {
      const name = figureName(from, figure);
      const value = figures[name];
      return [name, value === undefined ? '-' : shown(value), unit, limitOf(budget, name), about];
    }),
  );
  const lines = [['figure', 'value', 'unit', 'budget', 'what it is'], ...rows];
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  const [head = '', ...body] = lines.map((line) => rowOf(line, widths));
  return [head, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...body].join('\n');
}

/** Three significant digits: the figures are not more precise. */
export function shown(value: number): string {
  if (value === 0 || Math.abs(value) >= 100) return String(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

function rowOf(cells: string[], widths: number[]): string {
  const padded = cells.map((cell, column) =>
    column === 1 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
  );
  return `| ${padded.join(' | ')} |`;
}

/** What a scenario of the benchmark is: a load on the real server, and the figures that it yields. */
import type { Bench } from './bench.ts';

export type Unit = 'ms' | 'µs' | 'MB' | 's' | 'per s' | '×' | 'count';

/** `about` ends the sentence "this figure is ...". */
export type Figure = { unit: Unit; about: string };

export type FigureTable = Record<string, Figure>;

/** `undefined`: could not be measured on this machine; a note says why. */
export type Figures<Name extends string = string> = Record<Name, number | undefined>;

export type Scenario = {
  /** Letters, digits and `_`; heads the names of its figures: `streams.cpu_per_token`. */
  name: string;
  /** The load, in one line. */
  about: string;
  figures: FigureTable;
  /** Its load is limited in count and time. Everything started through `bench` is ended after it. */
  run(bench: Bench): Promise<Figures>;
};

/** A scenario whose `run` must yield every figure that it declares. */
export function scenario<const Table extends FigureTable>(
  definition: Omit<Scenario, 'figures' | 'run'> & {
    figures: Table;
    run(bench: Bench): Promise<Figures<keyof Table & string>>;
  },
): Scenario {
  return definition;
}

export function figureName(from: Scenario, figure: string): string {
  return `${from.name}.${figure}`;
}

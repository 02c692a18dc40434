/** The figures of a fault test, which `npm run faults` collects into a table. */
import type { TestContext } from 'node:test';

export type FaultFigures = {
  fault: string;
  /** How many times the fault was caused. */
  times: number;
  /** How many jobs were acknowledged. */
  acknowledged: number;
  /** How many acknowledged jobs disappeared, or ended for the fault although they need not. */
  lost: number;
  /** How many jobs were worked on by two agents at once, or again after they had ended. */
  doubled: number;
  /** How many processes and folders were left behind. */
  left: number;
};

export const reportPrefix = 'figures: ';

export function reportFault(t: TestContext, figures: FaultFigures): void {
  t.diagnostic(reportPrefix + JSON.stringify(figures));
}

/** Whether this machine can contain agents, for tests that need it and for tests that must do without. */
import { findContainment } from '../../src/agent/containment.ts';
import { hostEnvironment } from '../../src/config.ts';

const { containment } = await findContainment('auto', hostEnvironment());

export const hasBubblewrap = containment.kind === 'bwrap';

/** For `test(..., { skip: withoutBubblewrap })`. */
export const withoutBubblewrap = hasBubblewrap ? false : 'bubblewrap does not work on this machine';

/** Whether this machine can run agents in a sandbox: for tests that need one, and for tests without one. */
import { findContainment } from '../../src/agents/sandbox/containment.ts';
import { hostEnvironment } from '../../src/config/config.ts';

/** How the server runs agents on this machine. */
export const { containment } = await findContainment('auto', hostEnvironment());

export const hasBubblewrap = containment.kind === 'bwrap';

/** For `test(..., { skip: withoutBubblewrap })`. */
export const withoutBubblewrap = hasBubblewrap ? false : 'bubblewrap does not work on this machine';

/** Settings for `AGENT_ACCESS=full`: without a sandbox the server starts with it only if `SANDBOX=off`. */
export const unsealed: Record<string, string> = hasBubblewrap ? {} : { SANDBOX: 'off' };

/** Whether this machine can contain agents, for tests that need it and for tests that must do without. */
import { findContainment } from '../../src/agents/sandbox/containment.ts';
import { hostEnvironment } from '../../src/config/config.ts';

/** As the server would run agents here. */
export const { containment } = await findContainment('auto', hostEnvironment());

export const hasBubblewrap = containment.kind === 'bwrap';

/** For `test(..., { skip: withoutBubblewrap })`. */
export const withoutBubblewrap = hasBubblewrap ? false : 'bubblewrap does not work on this machine';

/** Without a sandbox `AGENT_ACCESS=full` starts only when the operator says so. */
export const unsealed: Record<string, string> = hasBubblewrap ? {} : { SANDBOX: 'off' };

/** Checks whether an agent could start now: whether the command exists, and has a login or a key for a model. */
import { asServiceError, ServiceError } from '../errors.ts';
import type { SignIn } from './sign-in.ts';

export type Readiness = {
  /** Returns why an agent could not start. Returns undefined if it could, or if that cannot be found out. */
  check(): Promise<ServiceError | undefined>;
  /** Ends a check of the login that is under way. Any later check of the login is ended at once. */
  close(): Promise<void>;
};

export type ReadinessOptions = {
  findClaude(): string | undefined;
  missingClaude(): ServiceError;
  /** Throws `agent_not_started` if the version of the command is too old. */
  requireVersion(command: string): Promise<void>;
  askSignIn(command: string, signal: AbortSignal): Promise<SignIn>;
};

/**
 * How long the CLI's answer is reused, in milliseconds. Asking takes 0.2 s of CPU time, and probes come every few
 * seconds.
 */
const keptMs = 60_000;
/** How long the answer that there is no login is reused, in milliseconds, so that a new login is noticed soon. */
const keptSignedOutMs = 5_000;

export function createReadiness(options: ReadinessOptions): Readiness {
  const { findClaude, missingClaude, requireVersion, askSignIn } = options;
  const closing = new AbortController();
  let latest: { command: string; answer: Promise<SignIn>; until: number } | undefined;

  const ask = (command: string): Promise<SignIn> => {
    if (latest?.command === command && performance.now() < latest.until) return latest.answer;
    const check = { command, answer: askSignIn(command, closing.signal), until: Number.POSITIVE_INFINITY };
    latest = check;
    void check.answer.then(({ state }) => {
      check.until = performance.now() + (state === 'none' ? keptSignedOutMs : keptMs);
    });
    return check.answer;
  };

  return {
    async check() {
      const command = findClaude();
      if (!command) return missingClaude();
      const tooOld = await requireVersion(command).then(() => undefined, asServiceError);
      if (tooOld) return tooOld;
      const { state, how } = await ask(command);
      if (state !== 'none') return undefined;
      return new ServiceError('not_signed_in', `Claude Code is not signed in: ${how}`);
    },
    async close() {
      closing.abort();
      await latest?.answer;
    },
  };
}

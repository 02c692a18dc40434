/** Whether an agent could be started now: the command is there and has a way to a model. */
import { ServiceError } from '../errors.ts';
import type { SignIn } from './sign-in.ts';

export type Readiness = {
  /** Why not; `undefined`: it could, or that cannot be found out. */
  check(): Promise<ServiceError | undefined>;
  /** Ends a question that is under way, and asks no more. */
  close(): Promise<void>;
};

export type ReadinessOptions = {
  findClaude(): string | undefined;
  missingClaude(): ServiceError;
  askSignIn(command: string, signal: AbortSignal): Promise<SignIn>;
  /** A monotonic clock, in milliseconds. */
  now?: () => number;
};

/** Asking the CLI takes 0.2 s of a core, and probes come every few seconds. */
const goodForMs = 60_000;
const badForMs = 5_000;

export function createReadiness({
  findClaude,
  missingClaude,
  askSignIn,
  now = () => performance.now(),
}: ReadinessOptions): Readiness {
  const closing = new AbortController();
  let latest: { command: string; answer: Promise<SignIn>; until: number } | undefined;

  const ask = (command: string): Promise<SignIn> => {
    if (latest?.command === command && now() < latest.until) return latest.answer;
    const asked = { command, answer: askSignIn(command, closing.signal), until: Number.POSITIVE_INFINITY };
    latest = asked;
    void asked.answer.then(({ state }) => {
      asked.until = now() + (state === 'none' ? badForMs : goodForMs);
    });
    return asked.answer;
  };

  return {
    async check() {
      const command = findClaude();
      if (!command) return missingClaude();
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

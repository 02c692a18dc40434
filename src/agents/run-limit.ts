/** The time limit of a run, joined with the caller's own signal. */
import { ServiceError } from '../errors.ts';

/** `signal` aborts with the caller's reason or with `agent_timeout`, whichever comes first. `clear` ends the timer. */
export function withRunLimit(caller: AbortSignal, runMs: number): { signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  const error = () =>
    new ServiceError('agent_timeout', `The agent was stopped after ${runMs / 1000} s: the time limit of the run`);
  const timer = setTimeout(() => controller.abort(error()), runMs);
  return { signal: AbortSignal.any([caller, controller.signal]), clear: () => clearTimeout(timer) };
}

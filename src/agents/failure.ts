/** Finds the cause of a failed run: first in the result message, then in stderr, then in the process's exit. */
import { constants } from 'node:os';
import { type ErrorCode, ServiceError } from '../errors.ts';
import type { Exit } from '../processes/child-process.ts';
import { redact } from '../redact.ts';
import type { AgentResult } from './protocol/result.ts';

type Spent = NonNullable<ServiceError['extra']['spent']>;

export type Ending = { exit: Exit; stderr: string };

/** Returns the error for a result that is marked as an error. */
export function failureOfResult(result: AgentResult, spent: Spent, ending?: Ending): ServiceError {
  const cause = result.errors.join('; ') || result.text || result.subtype || 'no reason given';
  const code = codeOfResult(result, cause);
  return new ServiceError(code, code === 'not_signed_in' ? signInAdvice(cause) : redact(cause), {
    ...endingExtra(ending),
    spent,
  });
}

/** Returns the error for a process that ended without a result, or with a bad exit status. */
export function failureOfExit(ending: Ending): ServiceError {
  const reason = redact(ending.stderr);
  if (/^(setpriv|bwrap): /.test(ending.stderr)) {
    return new ServiceError('agent_not_started', `Cannot start claude: ${reason}`, endingExtra(ending));
  }
  const code = isSignInProblem(reason) ? 'not_signed_in' : 'agent_failed';
  const text = code === 'not_signed_in' ? signInAdvice(reason) : reason || describeExit(ending.exit);
  return new ServiceError(code, text, endingExtra(ending));
}

/**
 * Returns the error for a process that could not be started. Shows only the code of Node's error, because the message
 * contains a host path.
 */
export function failureOfStart(error: unknown): ServiceError {
  const name = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  const advice = name === 'ENOENT' ? ' (the command or the workspace folder does not exist)' : '';
  return new ServiceError('agent_not_started', `Cannot start claude: ${name}${advice}`, { cause: error });
}

function codeOfResult(result: AgentResult, cause: string): ErrorCode {
  if (result.subtype === 'error_max_budget_usd') return 'budget_exceeded';
  if (result.subtype === 'error_max_structured_output_retries') return 'invalid_output';
  return isSignInProblem(cause) ? 'not_signed_in' : 'agent_failed';
}

function isSignInProblem(cause: string): boolean {
  return /not logged in|please run \/login|\/login\b|invalid api key|invalid x-api-key|oauth token (has )?expired/i.test(
    cause,
  );
}

function signInAdvice(cause: string): string {
  return `${redact(cause)} (on the server: run "claude" and sign in, or set ANTHROPIC_API_KEY)`;
}

function describeExit(exit: Exit): string {
  const signal = exit.signal ?? signalOfStatus(exit.code);
  if (signal) return `claude was ended by ${signal} before it gave a result`;
  return `claude exited with status ${exit.code} and gave no result`;
}

/**
 * Returns the signal that ended a wrapper's child. A wrapper such as bwrap then exits as a shell does: with the status
 * 128 plus the signal's number.
 */
function signalOfStatus(code: number | null): string | undefined {
  return Object.entries(constants.signals).find(([, number]) => code === 128 + number)?.[0];
}

function endingExtra(ending?: Ending): { exitCode?: number; stderr?: string } {
  return { exitCode: ending?.exit.code ?? undefined, stderr: ending?.stderr };
}

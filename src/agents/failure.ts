/** Names the true cause of a failed run: from the result message first, then stderr, then the exit of the process. */
import { constants } from 'node:os';
import { type ErrorCode, ServiceError } from '../errors.ts';
import type { Exit } from '../processes/child-process.ts';
import { redact } from '../redact.ts';
import type { AgentResult } from './protocol/result.ts';

type Spent = NonNullable<ServiceError['extra']['spent']>;

export type Ending = { exit: Exit; stderr: string };

/** For a result that is marked as an error. */
export function failureOfResult(result: AgentResult, spent: Spent, ending?: Ending): ServiceError {
  const cause = result.errors.join('; ') || result.text || result.subtype || 'no reason given';
  const code = codeOfResult(result, cause);
  return new ServiceError(code, code === 'not_signed_in' ? signInAdvice(cause) : redact(cause), {
    ...endingExtra(ending),
    spent,
  });
}

/** For a process that ended without a result, or with a bad exit status. */
export function failureOfExit(ending: Ending): ServiceError {
  const reason = redact(ending.stderr);
  if (/^(setpriv|bwrap): /.test(ending.stderr)) {
    return new ServiceError('agent_not_started', `Cannot start claude: ${reason}`, endingExtra(ending));
  }
  const code = isSignInProblem(reason) ? 'not_signed_in' : 'agent_failed';
  const text = code === 'not_signed_in' ? signInAdvice(reason) : reason || describeExit(ending.exit);
  return new ServiceError(code, text, endingExtra(ending));
}

/** Node's message for a failed `spawn` holds a path of the host, so only the error's code is shown. */
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

/** A wrapper such as bwrap reports the signal of its child as a shell does: as the status 128 plus its number. */
function signalOfStatus(code: number | null): string | undefined {
  return Object.entries(constants.signals).find(([, number]) => code === 128 + number)?.[0];
}

function endingExtra(ending?: Ending): { exitCode?: number; stderr?: string } {
  return { exitCode: ending?.exit.code ?? undefined, stderr: ending?.stderr };
}

/** Finds the cause of a failed run: first in the facts of the CLI, then in its words, then in the process's exit. */
import { constants } from 'node:os';
import { type ErrorCode, ServiceError } from '../errors.ts';
import type { Exit } from '../processes/child-process.ts';
import { redact } from '../redact.ts';
import type { Task } from '../task.ts';
import { codeOfModelFailure, hasImages, modelFailureText, withAdvice } from './model-failure.ts';
import type { AgentResult } from './protocol/result.ts';
import type { Turn } from './turn.ts';

type Spent = NonNullable<ServiceError['extra']['spent']>;

export type Ending = { exit: Exit; stderr: string };

/** Returns the error for a result that is marked as an error. */
export function failureOfResult(
  task: Task,
  turn: Turn,
  result: AgentResult,
  spent: Spent,
  ending?: Ending,
): ServiceError {
  const cause = result.errors.join('; ') || result.text || result.subtype || 'no reason given';
  const code = codeOfResult(task, turn, result, cause);
  const extra = { ...endingExtra(ending), spent };
  if (code !== 'usage_limit') return new ServiceError(code, modelFailureText(code, task, cause), extra);
  const resetsAt = turn.usageLimit?.resetsAt;
  const until = resetsAt === undefined ? '' : ` until ${new Date(resetsAt).toISOString()}`;
  const message = `Cannot ask the model: the login of the server has reached its usage limit${until}`;
  return new ServiceError(code, message, { ...extra, ...(resetsAt !== undefined && { resetsAt }) });
}

/** Returns the error for a turn that a hook of the operator stopped. Its reason may contain commands of the host. */
export function stoppedByHook(spent: Spent): ServiceError {
  const message = "Cannot finish the run: a hook in the settings of the server's operator stopped the agent";
  return new ServiceError('blocked_by_hook', message, { spent });
}

/**
 * Returns the error for a process that ended without a result, or with a bad exit status.
 * @param began whether the agent had begun to work. If it ended before that, the command is probably broken
 */
export function failureOfExit(ending: Ending, began: boolean): ServiceError {
  const reason = redact(ending.stderr);
  if (/^(setpriv|bwrap): /.test(ending.stderr)) {
    return new ServiceError('agent_not_started', `Cannot start claude: ${reason}`, endingExtra(ending));
  }
  const known = codeOfWords(reason);
  const code = known ?? 'agent_failed';
  return new ServiceError(code, withAdvice(code, reason || describeExit(ending.exit)), {
    ...endingExtra(ending),
    ...(known === undefined && !began && { startFailed: true }),
  });
}

/**
 * Returns the error for a process that could not be started. Shows only the code of Node's error, because the message
 * contains a host path.
 */
export function failureOfStart(error: unknown): ServiceError {
  const name = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  const meaning = meanings[name];
  const message = `Cannot start claude: ${name}${meaning ? ` (${meaning})` : ''}`;
  return new ServiceError('agent_not_started', message, { cause: error });
}

/** What system errors mean when an agent is started. */
const meanings: Record<string, string> = {
  ENOENT: 'the command or the workspace folder does not exist',
  EACCES: 'the command may not be executed',
  ENOEXEC: 'the command is not a program of this system',
  ETXTBSY: 'the command is being written',
  EMFILE: 'the server has too many open files',
  ENFILE: 'the system has too many open files',
  EAGAIN: 'the user has too many processes',
  ENOMEM: 'the system has no free memory',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the disk is read-only',
};

function codeOfResult(task: Task, turn: Turn, result: AgentResult, cause: string): ErrorCode {
  if (result.subtype === 'error_max_budget_usd') return 'budget_exceeded';
  if (result.subtype === 'error_max_structured_output_retries') return 'invalid_output';
  const code = codeOfModelFailure(result, turn.failure) ?? codeOfWords(cause) ?? 'agent_failed';
  if (code === 'model_rate_limited' && turn.usageLimit) return 'usage_limit';
  return code === 'invalid_image' && !hasImages(task) ? 'agent_failed' : code;
}

/** Returns the code for words of the CLI that come without facts. */
function codeOfWords(cause: string): ErrorCode | undefined {
  if (/credit balance is too low/i.test(cause)) return 'no_credit';
  if (/^--agent '.*' not found\./.test(cause)) return 'agent_unknown';
  return /not logged in|please run \/login|\/login\b|invalid api key|invalid x-api-key|oauth token (has )?expired/i.test(
    cause,
  )
    ? 'not_signed_in'
    : undefined;
}

function describeExit(exit: Exit): string {
  const signal = signalOf(exit);
  if (signal) return `claude was ended by ${signal} before it gave a result`;
  return `claude exited with status ${exit.code} and gave no result`;
}

/**
 * Returns the signal that ended a process, or the child of a wrapper. A wrapper such as bwrap then exits as a shell does:
 * with the status 128 plus the signal's number.
 */
function signalOf({ signal, code }: Exit): string | undefined {
  return signal ?? Object.entries(constants.signals).find(([, number]) => code === 128 + number)?.[0];
}

function endingExtra(ending?: Ending): { exitCode?: number; stderr?: string } {
  return { exitCode: ending?.exit.code ?? undefined, stderr: ending?.stderr };
}

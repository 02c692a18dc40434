/** `jobs run`: submits a job. With `--wait`, shows the job's events and exits with the job's status. */
import type { JobJson } from '../../api/jobs/render-job.ts';
import { pause } from '../../waits.ts';
import type { CommandContext } from '../command-context.ts';
import { CommandFailure, exitStatus, exitStatusOf } from './exit-status.ts';
import { followEvents } from './follow-events.ts';
import type { JobClient, Submitted } from './job-client.ts';
import { bodyOf, clientOf, jobOptions, readOptions, serverOptions, usage } from './options.ts';
import { Progress, printable } from './progress.ts';

const runOptions = {
  ...serverOptions,
  ...jobOptions,
  wait: { type: 'boolean', default: false },
  quiet: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

export async function runJob(args: string[], context: CommandContext): Promise<number> {
  const { values, positionals } = readOptions(args, runOptions);
  const prompt = await promptOf(positionals, context);
  const client = await clientOf(values);
  const { print, stopNow } = context;
  const submitted = await client
    .submit(bodyOf(prompt, values), values['idempotency-key'], stopNow)
    .catch((error: unknown) => {
      if (!stopNow.aborted) throw error;
      throw new CommandFailure(
        exitStatus.cancelled,
        'Stopped before the server answered: it may have accepted the job',
      );
    });
  if (!values.wait) {
    print(values.json ? JSON.stringify(submitted) : submitted.job_id);
    return exitStatus.done;
  }
  return waitFor(client, submitted, { ...values, ...context });
}

/** Returns the prompt. `-` stands for standard input, as in other tools. */
async function promptOf(positionals: string[], { readInput }: CommandContext): Promise<string> {
  const [given] = positionals;
  if (given === undefined || positionals.length > 1)
    throw usage('Cannot run a job: the command takes one prompt, in quotes, or - to read it from standard input');
  const prompt = given === '-' ? await readInput() : given;
  if (prompt.trim() === '')
    throw usage(`Cannot run a job: ${given === '-' ? 'standard input' : 'the prompt'} has no text`);
  return prompt;
}

type WaitOptions = CommandContext & { quiet: boolean; json: boolean };

/** Waits until the job has ended. Ctrl-C cancels the job, but the wait continues. A second Ctrl-C ends the wait. */
async function waitFor(client: JobClient, job: Submitted, options: WaitOptions): Promise<number> {
  const { stop, stopNow, report, print, quiet, json } = options;
  const id = job.job_id;
  const progress = new Progress(quiet ? () => {} : report);
  progress.line(`-- job ${id}${job.position === null ? '' : `, position ${job.position}`}${expectation(job)}`);
  const ended = new AbortController();
  const cancel = () => void cancelUntilAnswered(client, id, ended.signal, (line) => progress.line(line));
  if (stop.aborted) cancel();
  else stop.addEventListener('abort', cancel, { once: true });
  try {
    const onLost = (reason: string) => progress.line(`-- the connection is lost, retrying: ${reason}`);
    for await (const { event } of followEvents(client, id, { after: 0, signal: stopNow, onLost })) progress.show(event);
    progress.end();
    if (stopNow.aborted)
      throw new CommandFailure(exitStatus.cancelled, `Stopped waiting for the job ${id}: it may still run`);
    const record = await client.job(id);
    if (json) print(JSON.stringify(record));
    else if (record.result !== null && !isShown(record.result, progress, options)) print(record.result);
    if (record.error) report(`The job ${id} ended as ${record.status}: ${record.error.message}\n`);
    const delivery = record.workspace?.delivery;
    if (delivery)
      report(`The branch ${delivery.branch}: ${[delivery.state, delivery.detail].filter(Boolean).join(', ')}\n`);
    if (record.denials.length > 0) report(`${deniedLine(record.denials)}\n`);
    return exitStatusOf(record);
  } finally {
    stop.removeEventListener('abort', cancel);
    ended.abort();
  }
}

function deniedLine(denials: JobJson['denials']): string {
  const tools = [...new Set(denials.map(({ tool }) => tool))].join(', ');
  const calls = denials.length === 1 ? '1 tool call was' : `${denials.length} tool calls were`;
  return `${calls} refused, because the agent has no permission: ${tools}`;
}

/** Returns whether the result is on the terminal already, as the last text of the agent. */
function isShown(result: string, progress: Progress, { terminal, errorTerminal, quiet }: WaitOptions): boolean {
  return terminal && errorTerminal && !quiet && progress.latestText.trim() === printable(result).trim();
}

function expectation({ expected_wait_seconds: seconds }: Submitted): string {
  return seconds === null ? '' : `, about ${Math.ceil(seconds)} s to wait`;
}

const retryMs = 1000;

/**
 * Asks the server to cancel the job. While the server cannot be reached, asks again until it answers or the job has
 * ended.
 */
async function cancelUntilAnswered(
  client: JobClient,
  id: string,
  ended: AbortSignal,
  showLine: (line: string) => void,
): Promise<void> {
  showLine('-- cancelling; a second Ctrl-C exits without waiting');
  while (!ended.aborted) {
    try {
      await client.cancel(id);
      return;
    } catch (error) {
      if (!(error instanceof CommandFailure) || error.status !== exitStatus.unavailable) return;
    }
    await pause(retryMs, ended);
  }
}

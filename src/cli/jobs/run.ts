/** `jobs run`: hands a job in; with `--wait` shows what happens, and ends as the job does. */
import type { CommandContext } from '../command.ts';
import { CommandFailure, exitStatus, exitStatusOf } from './exit-status.ts';
import { followEvents } from './follow-events.ts';
import type { JobClient, Submitted } from './job-client.ts';
import { bodyOf, clientOf, readOptions, serverOptions, usage, wishOptions } from './options.ts';
import { Progress } from './progress.ts';

const runOptions = {
  ...serverOptions,
  ...wishOptions,
  wait: { type: 'boolean', default: false },
  quiet: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

export async function runJob(args: string[], context: CommandContext): Promise<number> {
  const { values, positionals } = readOptions(args, runOptions);
  const [prompt] = positionals;
  if (prompt === undefined || positionals.length > 1) throw usage('Cannot run a job: it takes one prompt, in quotes');
  const client = await clientOf(values);
  const { print, stopNow } = context;
  const submitted = await client
    .submit(bodyOf(prompt, values), values['idempotency-key'], stopNow)
    .catch((error: unknown) => {
      if (!stopNow.aborted) throw error;
      throw new CommandFailure(exitStatus.cancelled, 'Left before the server answered: it may have taken the job');
    });
  if (!values.wait) {
    print(values.json ? JSON.stringify(submitted) : submitted.job_id);
    return exitStatus.done;
  }
  return waitFor(client, submitted, { ...values, ...context });
}

type WaitOptions = CommandContext & { quiet: boolean; json: boolean };

/** Ctrl-C cancels the job and waits on for its end; a second one leaves at once. */
async function waitFor(client: JobClient, job: Submitted, options: WaitOptions): Promise<number> {
  const { stop, stopNow, tell, print, quiet, json } = options;
  const id = job.job_id;
  const progress = new Progress(quiet ? () => {} : tell);
  progress.line(`-- job ${id}${job.position === null ? '' : `, position ${job.position}`}${expectation(job)}`);
  const over = new AbortController();
  const cancel = () => void cancelUntilHeard(client, id, over.signal, (line) => progress.line(line));
  if (stop.aborted) cancel();
  else stop.addEventListener('abort', cancel, { once: true });
  try {
    const onLost = (reason: string) => progress.line(`-- the connection is lost, trying again: ${reason}`);
    for await (const { event } of followEvents(client, id, { after: 0, signal: stopNow, onLost })) progress.show(event);
    progress.end();
    if (stopNow.aborted) throw new CommandFailure(exitStatus.cancelled, `Left the job ${id}: it may go on`);
    const record = await client.job(id);
    if (json) print(JSON.stringify(record));
    else if (record.result !== null) print(record.result);
    if (record.error) tell(`The job ${id} ended as ${record.status}: ${record.error.message}\n`);
    const delivery = record.workspace?.delivery;
    if (delivery)
      tell(`The branch ${delivery.branch}: ${[delivery.state, delivery.detail].filter(Boolean).join(', ')}\n`);
    return exitStatusOf(record);
  } finally {
    stop.removeEventListener('abort', cancel);
    over.abort();
  }
}

function expectation({ expected_wait_seconds: seconds }: Submitted): string {
  return seconds === null ? '' : `, about ${Math.ceil(seconds)} s to wait`;
}

const againMs = 1000;

/** A server that is away just now is asked again, until it has heard or the job is over. */
async function cancelUntilHeard(
  client: JobClient,
  id: string,
  over: AbortSignal,
  say: (line: string) => void,
): Promise<void> {
  say('-- cancelling; Ctrl-C again leaves the job as it is');
  while (!over.aborted) {
    try {
      await client.cancel(id);
      return;
    } catch (error) {
      if (!(error instanceof CommandFailure) || error.status !== exitStatus.unavailable) return;
    }
    await new Promise((resolve) => setTimeout(resolve, againMs));
  }
}

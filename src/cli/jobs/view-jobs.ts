/** The commands of `jobs` that show or cancel existing jobs. */
import type { CommandContext } from '../command-context.ts';
import { exitStatus } from './exit-status.ts';
import { followEvents } from './follow-events.ts';
import type { JobClient } from './job-client.ts';
import { tableOf } from './job-table.ts';
import { clientOf, readOptions, serverOptions, usage } from './options.ts';
import { Progress } from './progress.ts';

const options = { ...serverOptions, json: { type: 'boolean', default: false } } as const;

const listOptions = {
  ...options,
  status: { type: 'string' },
  agent: { type: 'string' },
  limit: { type: 'string' },
  cursor: { type: 'string' },
} as const;

export async function listJobs(args: string[], { print, report, width }: CommandContext): Promise<number> {
  const { values } = readOptions(args, listOptions);
  const { url: _url, key: _key, json, ...filter } = values;
  const page = await (await clientOf(values)).list(filter);
  if (json) print(JSON.stringify(page));
  else for (const line of tableOf(page.jobs, width)) print(line);
  if (!json && page.next_cursor !== null) report(`There are more jobs: --cursor ${page.next_cursor}\n`);
  return exitStatus.done;
}

export async function showJob(args: string[], { print }: CommandContext): Promise<number> {
  const { values, positionals } = readOptions(args, options);
  const client = await clientOf(values);
  const job = await client.job(await idIn(positionals, client));
  print(values.json ? JSON.stringify(job) : JSON.stringify(job, null, 2));
  return exitStatus.done;
}

export async function cancelJob(args: string[], { print }: CommandContext): Promise<number> {
  const { values, positionals } = readOptions(args, options);
  const client = await clientOf(values);
  const answer = await client.cancel(await idIn(positionals, client));
  const words = { never_started: 'cancelled: it had not started', stopping: 'cancelled: its agent is being ended' };
  print(values.json ? JSON.stringify(answer) : words[answer.result]);
  return exitStatus.done;
}

export async function showDiff(args: string[], { print, report }: CommandContext): Promise<number> {
  const { values, positionals } = readOptions(args, serverOptions);
  const client = await clientOf(values);
  const { patch, omitted } = await client.diff(await idIn(positionals, client));
  if (omitted) report(`The patch does not hold everything: ${omitted}\n`);
  // The last line end is removed, because `print` adds one.
  print(patch.replace(/\n$/, ''));
  return exitStatus.done;
}

const eventsOptions = { ...options, after: { type: 'string', default: '0' } } as const;

/** Shows a job's events until the job has ended or Ctrl-C is pressed. Ctrl-C does not cancel the job. */
export async function followJob(
  args: string[],
  { print, report, stop, outputClosed }: CommandContext,
): Promise<number> {
  const { values, positionals } = readOptions(args, eventsOptions);
  if (!/^\d+$/.test(values.after))
    throw usage(`Cannot use --after "${values.after}": it must be the number of an event`);
  const client = await clientOf(values);
  const id = await idIn(positionals, client);
  const signal = AbortSignal.any([stop, outputClosed]);
  const lines = new Lines(print);
  const progress = new Progress((text) => lines.add(text));
  const onLost = (reason: string) => report(`The connection is lost, retrying: ${reason}\n`);
  for await (const { seq, event } of followEvents(client, id, { after: Number(values.after), signal, onLost })) {
    if (values.json) print(JSON.stringify({ seq, ...event }));
    else progress.show(event);
  }
  progress.end();
  return stop.aborted ? exitStatus.cancelled : exitStatus.done;
}

/** Collects text and prints it in whole lines. */
class Lines {
  readonly #print: (line: string) => void;
  #rest = '';

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  add(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#print(line);
  }
}

/** Returns the id that the arguments name. Looks for the job if they have only the beginning of its id. */
async function idIn(positionals: string[], client: JobClient): Promise<string> {
  const [id = ''] = positionals;
  if (id === '' || positionals.length > 1) throw usage('Cannot find the job: the command takes the id of one job');
  if (!/^[\da-f-]{4,35}$/.test(id)) return id;
  const { jobs } = await client.list({ id, limit: '2' });
  const [found, another] = jobs;
  if (!found) throw usage(`Cannot find the job: no id begins with ${id}`);
  if (another) throw usage(`Cannot find the job: more than one id begins with ${id}; give more of it`);
  return found.job_id;
}

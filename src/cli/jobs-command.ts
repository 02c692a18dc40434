/** `claude-agent-server jobs`: submits jobs to a running server, and manages them. */
import { suggestionFor } from '../nearest.ts';
import type { CommandContext } from './command-context.ts';
import { CommandFailure, exitStatus } from './jobs/exit-status.ts';
import { jobFlags } from './jobs/options.ts';
import { runJob } from './jobs/run-job.ts';
import { cancelJob, followJob, listJobs, showDiff, showJob } from './jobs/view-jobs.ts';

const fieldLines = Object.values(jobFlags).map(
  ({ flag, value, about }) => `      ${`--${flag} ${value}`.padEnd(24)}${about}`,
);

const help = `Usage: claude-agent-server jobs COMMAND [options]

  run "PROMPT"   submit a job and print its id; with - as the prompt, read it from standard input
      --wait                  show its events on standard error, print its result, and exit with its status;
                              Ctrl-C cancels the job and waits for its end, a second Ctrl-C exits at once
      --quiet                 with --wait: print only the result
${fieldLines.join('\n')}
      --idempotency-key KEY   a repeat with the same key and options is the same job
  list           jobs, newest first [--status STATUS] [--agent NAME] [--limit N] [--cursor CURSOR]
  show ID        the record of a job, as JSON
  cancel ID      cancel a job, whether it waits or runs
  diff ID        the changes of a job, as a patch for git apply
  events ID      the events of a job, from its start to its end [--after NUMBER]

  An ID may be abbreviated to a beginning of 4 or more characters that no other job has.

  --url URL      the server; default: the one at HOST and PORT on this machine
  --key KEY      the API key; default: API_BEARER_TOKEN, or the key in DATA_DIR (other users can see options in ps)
  --json         JSON instead of text

Exit status: 0 success, with --wait: the job completed; 1 the job failed, or its branch could not be pushed, or the
state of the job does not allow the request; 2 the command, the request, the key or the id of the job is wrong;
3 the server cannot be reached or accepts no more jobs now; 4 the job was interrupted because its server ended;
124 the job reached a time limit; 130 the job was cancelled.`;

const commands: Record<string, (args: string[], context: CommandContext) => Promise<number>> = {
  run: runJob,
  list: listJobs,
  show: showJob,
  cancel: cancelJob,
  diff: showDiff,
  events: followJob,
};

export async function runJobsCommand(args: string[], context: CommandContext): Promise<number> {
  const [name = '--help', ...rest] = args;
  if (['help', '--help', '-h'].includes(name) || rest.some((arg) => ['--help', '-h'].includes(arg))) {
    context.print(help);
    return args.length === 0 ? exitStatus.usage : exitStatus.done;
  }
  try {
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (command) return await command(rest, context);
    const hint = suggestionFor(name, Object.keys(commands));
    throw new CommandFailure(exitStatus.usage, `Cannot run "jobs ${name}": there is no such command; ${hint}`);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    context.report(`${error.message}\n`);
    return error.status;
  }
}

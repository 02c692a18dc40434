/** `claude-agent-server jobs`: hands jobs to a running server, and looks after them. */
import type { CommandContext } from './command.ts';
import { CommandFailure, exitStatus } from './jobs/exit-status.ts';
import { cancelJob, followJob, listJobs, showDiff, showJob } from './jobs/look.ts';
import { runJob } from './jobs/run.ts';

const help = `Usage: claude-agent-server jobs COMMAND [options]

  run "PROMPT"   hand in a job and print its id
      --wait              show what happens on standard error, print the result, and end as the job does;
                          Ctrl-C cancels the job and waits for its end, a second Ctrl-C leaves at once
      --quiet             with --wait: show nothing but the result
      --agent NAME        the Claude Code agent definition
      --model NAME        haiku, sonnet, opus or what else the server has
      --effort LEVEL      low, medium, high, xhigh or max
      --budget USD        what it may spend
      --timeout SECONDS   how long it may run
      --deliver branch    commit what it changed and push it to agent/JOB_ID
      --idempotency-key KEY   with the same key and options the same job again, not another one
  list           jobs, newest first [--status STATUS] [--agent NAME] [--limit N] [--cursor CURSOR]
  show ID        all that is known of a job, as JSON
  cancel ID      end it, or let it never start
  diff ID        what it changed, as a patch for git apply
  events ID      what happens in it, from its beginning to its end [--after NUMBER]

  --url URL      the server; without it the one of HOST and PORT on this machine
  --key KEY      the key; without it API_BEARER_TOKEN, or the one kept in DATA_DIR (others can see an option in ps)
  --json         JSON instead of text

Exit status: 0 done, with --wait: the job completed; 1 the job failed, or its branch could not be pushed, or the
request does not fit the state of the job; 2 the command or the request is wrong, also the key or the id of the job;
3 the server cannot be reached or takes no more now; 4 the job was interrupted, as its server went away; 124 the job ran
into a time limit; 130 the job was cancelled.`;

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
  if (['help', '--help', '-h'].includes(name) || rest.includes('--help')) {
    context.print(help);
    return args.length === 0 ? exitStatus.usage : exitStatus.done;
  }
  try {
    const command = commands[name];
    if (command) return await command(rest, context);
    const known = Object.keys(commands).join(', ');
    throw new CommandFailure(exitStatus.usage, `Cannot do jobs ${name}: the commands are ${known}`);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    context.tell(`${error.message}\n`);
    return error.status;
  }
}

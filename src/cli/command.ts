/** Which sub-command the arguments ask for, and the words of `--help`. */
import { settings } from '../config/config.ts';

export type CommandContext = {
  /** Aborted by the first SIGINT or SIGTERM. */
  stop: AbortSignal;
  /** Aborted by the second. */
  stopNow: AbortSignal;
  /** Aborted when nobody reads standard output any more. */
  outputClosed: AbortSignal;
  /** A person reads standard output as it comes; otherwise it may be kept, as in a log. */
  terminal: boolean;
  /** Standard output, a line at a time. */
  print(line: string): void;
  /** Standard error, as it is: progress and complaints. */
  tell(text: string): void;
};

/** Settles with the exit status. */
type Run = (args: string[], context: CommandContext) => Promise<number>;

/** Each is loaded when it is asked for: a server needs no demo, and a look at its jobs needs no server. */
const commands: Record<string, { about: string; load(): Promise<Run>; ownHelp?: true }> = {
  serve: {
    about: 'start the server (the default)',
    load: async () => (await import('./serve.ts')).serve,
  },
  doctor: {
    about: 'check what the server needs, and say how to mend it',
    load: async () => (await import('./doctor-command.ts')).runDoctorCommand,
  },
  demo: {
    about: 'try it without an account: the real agent against a scripted model; --once ends after the answer',
    load: async () => (await import('./demo.ts')).runDemo,
  },
  jobs: {
    about: 'hand jobs to a running server and look after them; jobs --help tells how',
    load: async () => (await import('./jobs.ts')).runJobsCommand,
    ownHelp: true,
  },
};

export function parseCommand(argv: string[]): { run(context: CommandContext): Promise<number> } {
  const [first = 'serve', ...rest] = argv;
  const asksForHelp = ['help', '--help', '-h'].includes(first) || rest.includes('--help');
  if (asksForHelp && !commands[first]?.ownHelp) return { run: help };
  // `claude-agent-server --port 8001` serves.
  const [name, args] = first.startsWith('--') ? ['serve', argv] : [first, rest];
  const command = commands[name];
  if (command) return { run: async (context) => (await command.load())(args, context) };
  return {
    run: async () => {
      throw new Error(`Cannot run "${first}": the commands are ${Object.keys(commands).join(', ')}`);
    },
  };
}

async function help({ print }: CommandContext): Promise<number> {
  print('Usage: claude-agent-server [command] [--setting value]...\n\nCommands:');
  for (const [name, { about }] of Object.entries(commands)) print(`  ${name.padEnd(8)} ${about}`);
  print('\nSettings (each is also an environment variable):');
  for (const { name, about, default: fallback } of Object.values(settings)) {
    print(`  --${name.toLowerCase().replaceAll('_', '-')} (${name}, default: ${fallback})\n      ${about}`);
  }
  return 0;
}

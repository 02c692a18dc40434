/** Which sub-command the arguments ask for, and the words of `--help`. */
import { settings } from '../config.ts';
import { runDemo } from './demo.ts';
import { runDoctorCommand } from './doctor-command.ts';
import { serve } from './serve.ts';

export type CommandContext = {
  /** Aborted by the first SIGINT or SIGTERM. */
  stop: AbortSignal;
  /** Aborted by the second. */
  stopNow: AbortSignal;
  /** Standard output, a line at a time. */
  print(line: string): void;
};

/** Settles with the exit status. */
type Command = { about: string; run(args: string[], context: CommandContext): Promise<number> };

const commands: Record<string, Command> = {
  serve: { about: 'start the server (the default)', run: serve },
  doctor: { about: 'check what the server needs, and say how to mend it', run: runDoctorCommand },
  demo: {
    about: 'try it without an account: the real agent against a scripted model; --once ends after the answer',
    run: runDemo,
  },
};

export function parseCommand(argv: string[]): { run(context: CommandContext): Promise<number> } {
  const [first = 'serve', ...rest] = argv;
  if (['help', '--help', '-h'].includes(first) || rest.includes('--help')) return { run: help };
  const command = commands[first];
  if (command) return { run: (context) => command.run(rest, context) };
  // `claude-agent-server --port 8001` serves.
  if (first.startsWith('--')) return { run: (context) => serve(argv, context) };
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

/** Finds the command that the arguments name, and prints the text of `--help`. */
import { flagOf, settings } from '../config/config.ts';
import { suggestionFor } from '../nearest.ts';
import { readVersion } from '../version.ts';
import type { CommandContext } from './command-context.ts';

/** Runs a command and returns its exit status. */
type Run = (args: string[], context: CommandContext) => Promise<number>;

/**
 * The commands by name. Each is loaded only if it is used: a server does not need the demo, and `jobs` does not need
 * the server.
 */
const commands: Record<string, { about: string; load(): Promise<Run>; ownHelp?: true }> = {
  serve: {
    about: 'start the server (the default)',
    load: async () => (await import('./serve.ts')).serve,
  },
  doctor: {
    about: 'check what the server needs, and say how to fix it',
    load: async () => (await import('./doctor.ts')).runDoctorCommand,
  },
  demo: {
    about: 'try it without an account: the real agent with a fake model; --once ends after one answer',
    load: async () => (await import('./demo.ts')).runDemo,
  },
  jobs: {
    about: 'submit jobs to a running server and manage them; see jobs --help',
    load: async () => (await import('./jobs-command.ts')).runJobsCommand,
    ownHelp: true,
  },
};

export function parseCommand(argv: string[]): { run(context: CommandContext): Promise<number> } {
  const [first = 'serve', ...rest] = argv;
  if (['version', '--version', '-V'].includes(first)) return { run: version };
  const asksForHelp = ['help', '--help', '-h'].includes(first) || rest.some((arg) => ['--help', '-h'].includes(arg));
  if (asksForHelp && !commands[first]?.ownHelp) return { run: help };
  // Arguments that begin with a flag, such as `claude-agent-server --port 8001`, are for the command `serve`.
  const [name, args] = first.startsWith('--') ? ['serve', argv] : [first, rest];
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command) return { run: async (context) => (await command.load())(args, context) };
  return {
    run: async () => {
      const hint = suggestionFor(first, Object.keys(commands));
      throw new Error(`Cannot run "${first}": there is no such command; ${hint}`);
    },
  };
}

async function version({ print }: CommandContext): Promise<number> {
  print(await readVersion());
  return 0;
}

async function help({ print }: CommandContext): Promise<number> {
  print('Usage: claude-agent-server [command] [--setting value]...\n       claude-agent-server --version\n\nCommands:');
  for (const [name, { about }] of Object.entries(commands)) print(`  ${name.padEnd(8)} ${about}`);
  print('\nSettings (each is also an environment variable):');
  for (const { name, about, default: fallback } of Object.values(settings)) {
    print(`  ${flagOf(name)} (${name}, default: ${fallback})\n      ${about}`);
  }
  return 0;
}

/** `claude-agent-server doctor`: prints the diagnosis; the exit status is 1 when the server would not work. */
import { hostEnvironment, loadConfig } from '../config/config.ts';
import type { CommandContext } from './command.ts';
import { runDoctor } from './doctor.ts';

export async function runDoctorCommand(args: string[], { print }: CommandContext): Promise<number> {
  const { ok, lines } = await runDoctor(loadConfig(args), hostEnvironment());
  for (const line of lines) print(line);
  print(ok ? 'The server can be started: npm start' : 'The server would not work: see the failures above');
  return ok ? 0 : 1;
}

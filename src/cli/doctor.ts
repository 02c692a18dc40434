/** `claude-agent-server doctor`: checks what the server needs before it is started, and says how to fix what is missing. */
import { type Config, type Environment, hostEnvironment, loadConfig } from '../config/config.ts';
import {
  checkClaude,
  checkDataDir,
  checkHome,
  checkKey,
  checkNode,
  checkPort,
  checkSandbox,
  checkWorkspace,
  type Finding,
} from './checks.ts';
import type { CommandContext } from './command-context.ts';

/** Returns the exit status, which is 1 if the server would not work. */
export async function runDoctorCommand(args: string[], { print }: CommandContext): Promise<number> {
  const { ok, lines } = await runDoctor(loadConfig(args), hostEnvironment());
  for (const line of lines) print(line);
  print(ok ? 'The server can be started: npm start' : 'The server would not work: see the failures above');
  return ok ? 0 : 1;
}

/** `ok` is true if there is no failure. `lines` has one line for each finding. */
export type Diagnosis = { ok: boolean; lines: string[] };

/**
 * Runs all checks. Changes nothing and sends nothing to a model. Settles within about half a minute, even if nothing
 * answers.
 */
export async function runDoctor(config: Config, environment: Environment): Promise<Diagnosis> {
  const findings = await Promise.all([
    checkNode(process.versions.node),
    checkClaude(config, environment),
    checkWorkspace(config, environment),
    checkDataDir(config.dataDir),
    checkKey(config),
    checkPort(config.host, config.port),
    checkSandbox(config, environment),
    checkHome(config, environment),
  ]);
  const all = findings.flat();
  return { ok: all.every(({ state }) => state !== 'failure'), lines: all.map(lineOf) };
}

function lineOf({ state, what, fix }: Finding): string {
  return `${state.padEnd(7)}  ${what}${fix ? `. To fix it: ${fix}` : ''}`;
}

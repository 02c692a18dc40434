/** Checks what the server needs before it is started, one line each: what is wrong, and the command that mends it. */
import type { Config, Environment } from '../config/config.ts';
import { checkClaude, checkDataDir, checkHome, checkNode, checkPort, checkSandbox, checkWorkspace } from './checks.ts';

export type Finding = {
  /** `failure`: the server would not work. `warning`: it would, with less. */
  state: 'ok' | 'warning' | 'failure';
  what: string;
  /** The command or setting that mends it. */
  mend?: string;
};

/** `ok`: there is no failure. */
export type Diagnosis = { ok: boolean; lines: string[] };

/** Changes nothing and asks nothing of a model; settles within about half a minute also when nothing answers. */
export async function runDoctor(config: Config, environment: Environment): Promise<Diagnosis> {
  const findings = await Promise.all([
    checkNode(process.versions.node),
    checkClaude(config, environment),
    checkWorkspace(config, environment),
    checkDataDir(config.dataDir),
    checkPort(config.host, config.port),
    checkSandbox(config, environment),
    checkHome(config, environment),
  ]);
  const all = findings.flat();
  return { ok: all.every(({ state }) => state !== 'failure'), lines: all.map(lineOf) };
}

function lineOf({ state, what, mend }: Finding): string {
  return `${state.padEnd(7)}  ${what}${mend ? `. To mend it: ${mend}` : ''}`;
}

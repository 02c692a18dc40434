/** Creates from the settings what runs agents: the sandbox, the agents, and the check whether an agent could start. */
import { join } from 'node:path';
import type { Config, Environment } from '../config/config.ts';
import type { Telemetry } from '../telemetry.ts';
import type { AgentStage } from './agent.ts';
import { createAgents } from './agents.ts';
import { createVersionCheck } from './cli-version.ts';
import { findClaude, missingClaude } from './find-claude.ts';
import { createReadiness, type Readiness } from './readiness.ts';
import { type FoundContainment, findContainment } from './sandbox/containment.ts';
import { createRooms } from './sandbox/rooms.ts';
import { findSignIn } from './sign-in.ts';

/**
 * Returns how the host contains agents. Throws an Error with a one-line message if the settings require more than the
 * host can do.
 */
export async function requireContainment(config: Config, environment: Environment): Promise<FoundContainment> {
  const contained = await findContainment(config.sandbox, environment);
  const problem = containmentProblem(config, contained);
  if (problem) throw new Error(problem);
  return contained;
}

/** Returns why the server must not start with these settings on this host. Returns undefined if it may start. */
export function containmentProblem(
  { sandbox, agentAccess }: Pick<Config, 'sandbox' | 'agentAccess'>,
  { containment, missing }: FoundContainment,
): string | undefined {
  if (containment.kind === 'bwrap' || sandbox === 'off') return undefined;
  const why = `${missing?.what}; to change that: ${missing?.remedy}`;
  if (sandbox === 'required') return `Cannot start with SANDBOX=required: ${why}`;
  if (agentAccess !== 'full') return undefined;
  return `Cannot start with AGENT_ACCESS=full: ${why}; or set SANDBOX=off, and agents run any command on this machine as you`;
}

export type AgentStageOptions = {
  config: Config;
  environment: Environment;
  telemetry: Telemetry;
  contained: FoundContainment;
  /** Folders of the workspaces, which are hidden from agents. An agent sees only its own part of them. */
  hides: string[];
  markerOf(runId: string): string;
};

/**
 * Creates the agents and the check whether an agent could start. First removes the agents' homes that a dead server
 * left.
 */
export async function openAgents(options: AgentStageOptions): Promise<{ agents: AgentStage; readiness: Readiness }> {
  const { config, environment, telemetry, markerOf } = options;
  const homesFolder = join(config.dataDir, 'homes');
  const rooms = createRooms({
    containment: options.contained.containment,
    host: environment,
    extra: config.agentEnv,
    homesFolder,
    importSettings: config.agentHome === 'import',
    reads: config.agentReads,
    hides: [config.dataDir, ...options.hides],
    onProblem: telemetry.homeProblem,
  });
  await rooms.removeLeftovers();
  const find = () => findClaude(config.claudeBin, environment['PATH']);
  const missing = () => missingClaude(config.claudeBin);
  const versions = createVersionCheck(environment);
  const agents = createAgents({
    findClaude: find,
    missingClaude: missing,
    requireVersion: versions,
    access: config.agentAccess,
    rooms,
    trustWorkspace: config.trustWorkspace,
    importSettings: config.agentHome === 'import',
    modelRetries: { chat: config.chatModelRetries, job: config.jobModelRetries },
    markerOf,
    onUnknown: telemetry.unknownAgentMessage,
    onForced: telemetry.agentForced,
  });
  const readiness = createReadiness({
    findClaude: find,
    missingClaude: missing,
    requireVersion: versions,
    askSignIn: (claudeBin, signal) => findSignIn({ claudeBin, rooms, marker: markerOf('sign-in'), signal }),
  });
  return { agents, readiness };
}

/** The agent stage: starts what a task needs, knows all that run, ends them all. */
import { statSync } from 'node:fs';
import { ServiceError } from '../errors.ts';
import type { Agent, AgentStage, Folder, Session } from './agent.ts';
import { AgentProcess, type Launch } from './agent-process.ts';
import { ArgumentAgent } from './argument-agent.ts';
import { type Access, argumentCommand, fixedOf, promptArgument, sessionCommand } from './command-line.ts';
import { type Containment, contain } from './containment.ts';
import { agentEnvironment } from './environment.ts';
import { SessionAgent } from './session-agent.ts';
import { removeTraces } from './traces.ts';

export type AgentSettings = {
  /** Looked for anew at each start: Claude Code may be installed, or replaced, while the server runs. */
  findClaude(): string | undefined;
  access: Access;
  containment: Containment;
  /** The host's environment; the agent gets what the allow-list leaves. */
  environment: Record<string, string | undefined>;
  extraEnvironment: string[];
  /** For the CLI's own small files, which it leaves behind; a sandbox has a `/tmp` of its own instead. */
  temporaryFolder: string;
  /** Tells the trees of this server from those of others. */
  markerOf(runId: string): string;
  onUnknown(messageType: string): void;
};

export function createAgents(settings: AgentSettings): AgentStage {
  const held = new Set<Agent>();
  const { access, onUnknown } = settings;
  const env = {
    ...agentEnvironment(settings.environment, settings.extraEnvironment),
    // The CLI refuses to skip permissions as root anywhere else; and in a sandbox `/tmp` is its own.
    ...(settings.containment.kind === 'bwrap' ? { IS_SANDBOX: '1' } : { CLAUDE_CODE_TMPDIR: settings.temporaryFolder }),
  };

  const launch = (id: string, folder: Folder, args: string[], stdin: Launch['stdin']): Launch => {
    const command = settings.findClaude();
    if (!command) throw new ServiceError('agent_not_started', 'Cannot start claude: the command is not to be found');
    const contained = contain({ command, args, folder }, settings.containment);
    return { ...contained, cwd: folder.path, env, stdin, marker: settings.markerOf(id) };
  };

  /** Remembered until it is released, so that `destroy` finds it. */
  const hold = <T extends Agent>(agent: T, cwd: string): T => {
    held.add(agent);
    const release = agent.release.bind(agent);
    agent.release = async () => {
      await release().finally(() => held.delete(agent));
      await removeTraces(cwd, env);
    };
    return agent;
  };

  const startSession: AgentStage['startSession'] = async (id, fixed, model, folder): Promise<Session> => {
    const process = await AgentProcess.start(launch(id, folder, sessionCommand(fixed, access, model), 'pipe'));
    return hold(new SessionAgent(process, model, onUnknown), folder.path);
  };

  return {
    startSession,
    fixedOf: (task) => (task.launch === 'session' ? fixedOf(task) : undefined),
    async take(task, folder, signal) {
      signal.throwIfAborted();
      const prompt = promptArgument(task);
      if (prompt === undefined) return startSession(task.id, fixedOf(task), task.model, folder);
      return hold(
        new ArgumentAgent(launch(task.id, folder, argumentCommand(task, access, prompt), 'ignore'), onUnknown),
        folder.path,
      );
    },
    identity() {
      const command = settings.findClaude();
      return command ? `${command}@${statSync(command, { throwIfNoEntry: false })?.mtimeMs}` : 'none';
    },
    async destroy() {
      await Promise.all([...held].map((agent) => agent.release()));
    },
  };
}

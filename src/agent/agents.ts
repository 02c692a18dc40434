/** The agent stage: starts what a task needs, knows all that run, ends them all. */
import { ServiceError } from '../errors.ts';
import type { Task } from '../task.ts';
import type { Agent, AgentStage } from './agent.ts';
import { AgentProcess, type Launch } from './agent-process.ts';
import { ArgumentAgent } from './argument-agent.ts';
import { type Access, argumentCommand, promptArgument, sessionCommand } from './command-line.ts';
import { type Containment, contain } from './containment.ts';
import { agentEnvironment } from './environment.ts';
import { SessionAgent } from './session-agent.ts';

export type AgentSettings = {
  /** Looked for anew at each start: Claude Code may be installed, or replaced, while the server runs. */
  findClaude(): string | undefined;
  access: Access;
  containment: Containment;
  /** The host's environment; the agent gets what the allow-list leaves. */
  environment: Record<string, string | undefined>;
  extraEnvironment: string[];
  /** Tells the trees of this server from those of others: see `markers.ts`. */
  markerOf(runId: string): string;
  onUnknown(messageType: string): void;
};

export function createAgents(settings: AgentSettings): AgentStage {
  const held = new Set<Agent>();
  const env = agentEnvironment(settings.environment, settings.extraEnvironment);

  const launch = (task: Task, cwd: string, args: string[], stdin: Launch['stdin']): Launch => {
    const command = settings.findClaude();
    if (!command) throw new ServiceError('agent_not_started', 'Cannot start claude: the command is not to be found');
    const contained = contain({ command, args, cwd }, settings.containment);
    return { ...contained, cwd, env, stdin, marker: settings.markerOf(task.id) };
  };

  const start = async (task: Task, cwd: string): Promise<Agent> => {
    const prompt = promptArgument(task);
    if (prompt !== undefined) {
      const args = argumentCommand(task, settings.access, prompt);
      return new ArgumentAgent(launch(task, cwd, args, 'ignore'), settings.onUnknown);
    }
    const fixed = { agent: task.agent, budgetUsd: task.limits.budgetUsd, access: settings.access };
    const process = await AgentProcess.start(launch(task, cwd, sessionCommand(fixed, task.model), 'pipe'));
    return new SessionAgent(process, task.model, settings.onUnknown);
  };

  return {
    async take(task, workspacePath, signal) {
      signal.throwIfAborted();
      const agent = await start(task, workspacePath);
      held.add(agent);
      return {
        run: (turn, options) => agent.run(turn, options),
        release: () => agent.release().finally(() => held.delete(agent)),
      };
    },
    async destroy() {
      await Promise.all([...held].map((agent) => agent.release()));
    },
  };
}

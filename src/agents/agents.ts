/** Starts the agents for tasks, and can end all agents that run. */
import { statSync } from 'node:fs';
import type { ServiceError } from '../errors.ts';
import type { Agent, AgentStage, Folder, Session } from './agent.ts';
import { AgentProcess, type Launch } from './agent-process.ts';
import { ArgumentAgent } from './argument-agent.ts';
import { type Access, argumentCommand, fixedOf, promptArgument, sessionCommand } from './command-line.ts';
import { failureOfStart } from './failure.ts';
import type { ModelRetries } from './model-failure.ts';
import { projectFiles, projectFlags, readProject } from './project/project.ts';
import type { Room, Rooms } from './sandbox/rooms.ts';
import { SessionAgent } from './session-agent.ts';

export type AgentSettings = {
  /**
   * Returns the command's path. Called at each start: Claude Code may be installed or replaced while the server runs.
   */
  findClaude(): string | undefined;
  /** Returns the error to throw if `findClaude` finds nothing. */
  missingClaude(): ServiceError;
  /** Throws `agent_not_started` if the version of the command is too old. */
  requireVersion(command: string): Promise<void>;
  access: Access;
  rooms: Rooms;
  /** Whether the configuration in a repository applies to the agents that work in it (`TRUST_WORKSPACE`). */
  trustWorkspace: boolean;
  /** Whether agents get the operator's own Claude Code settings (`AGENT_HOME=import`). */
  importSettings: boolean;
  modelRetries: ModelRetries;
  /** Returns the text that marks a run's processes, so that they can be found. */
  markerOf(runId: string): string;
  /** Called with the type of each CLI message that the server does not know. */
  onUnknown(messageType: string): void;
  /** Called when an agent ignored SIGTERM and was ended with SIGKILL. */
  onForced(runId: string): void;
};

export function createAgents(settings: AgentSettings): AgentStage {
  const held = new Set<Agent>();
  const { access, rooms, onUnknown, modelRetries } = settings;

  /**
   * Prepares the agent's room (its home, variables and sandbox). The returned `launch` describes how to start it there.
   */
  const prepare = async (id: string, folder: Folder, stdin: Launch['stdin'], retries: number) => {
    const agent = settings.findClaude();
    if (!agent) throw settings.missingClaude();
    await settings.requireVersion(agent);
    const project = await readProject(folder, settings.trustWorkspace);
    const room = await rooms.prepare(agent, folder, projectFiles(project)).catch((error) => {
      throw failureOfStart(error);
    });
    const marker = settings.markerOf(id);
    const launch = (args: string[]): Launch => ({
      ...room.enter(args),
      agent,
      cwd: folder.path,
      env: {
        CLAUDE_CODE_MAX_RETRIES: String(retries),
        ...room.env,
        // Otherwise an agent with its prompt on the command line waits for its background tasks before it prints its
        // result, and asks the model about each end of a task.
        CLAUDE_CODE_PRINT_BG_WAIT_CEILING_MS: '1',
      },
      stdin,
      marker,
      onForced: () => settings.onForced(id),
    });
    const flags = projectFlags(project, room.fileAt, {
      withInstructions: stdin === 'ignore',
      withServers: settings.importSettings,
    });
    return { room, launch, flags, instructions: project.instructions };
  };

  /** Registers an agent until it is released, so that `destroy` can end it. */
  const hold = <T extends Agent>(agent: T, room: Room): T => {
    held.add(agent);
    const release = agent.release.bind(agent);
    agent.release = async () => {
      await release().finally(() => {
        held.delete(agent);
        room.leave();
      });
    };
    return agent;
  };

  // A session agent may be started before it is known for what kind of task.
  const mostRetries = Math.max(...Object.values(modelRetries));

  const startSession: AgentStage['startSession'] = async (id, fixed, model, folder): Promise<Session> => {
    const { room, launch, flags, instructions } = await prepare(id, folder, 'pipe', mostRetries);
    try {
      const process = await AgentProcess.start(launch(sessionCommand(fixed, access, flags, model)));
      return hold(new SessionAgent(process, { model, instructions, modelRetries, onUnknown }), room);
    } catch (error) {
      room.leave();
      throw error;
    }
  };

  return {
    startSession,
    fixedOf,
    async start(task, folder) {
      const prompt = promptArgument(task);
      if (prompt === undefined) return startSession(task.id, fixedOf(task), task.model, folder);
      const { room, launch, flags } = await prepare(task.id, folder, 'ignore', modelRetries[task.kind]);
      const command = argumentCommand(task, access, flags, prompt);
      return hold(new ArgumentAgent(launch(command), { modelRetries, onUnknown }), room);
    },
    identity() {
      const command = settings.findClaude();
      return command ? `${command}@${statSync(command, { throwIfNoEntry: false })?.mtimeMs}` : 'none';
    },
    async destroy() {
      await Promise.all([...held].map((agent) => agent.release()));
      await rooms.idle();
    },
  };
}

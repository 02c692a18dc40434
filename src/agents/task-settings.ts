/** Tells the CLI the settings of a task: the system prompt, the output schema, the model and the effort. */
import { ServiceError } from '../errors.ts';
import type { Effort, Task } from '../task.ts';
import type { ControlRequests } from './control-requests.ts';
import type { ProtocolMessage } from './protocol/messages.ts';

export class TaskSettings {
  readonly #control: ControlRequests;
  readonly #instructions: string | undefined;
  #model: string;
  #effort: Effort | undefined;
  #initialized = false;

  /**
   * @param model the model that the process was started with
   * @param instructions the project's instructions, which are added to the system prompt
   */
  constructor(control: ControlRequests, model: string, instructions: string | undefined) {
    this.#control = control;
    this.#model = model;
    this.#instructions = instructions;
  }

  /**
   * Sends the settings that differ from those that the CLI has. The CLI accepts only the first `initialize` of a
   * process, and only before its first turn (measured on 2.1.329).
   * @returns whether the caller must wait for the response to `initialize`, and check with it that the task's agent
   * definition exists
   */
  send(task: Task): boolean {
    const isFirst = !this.#initialized;
    const system = [this.#instructions, task.system].filter((text) => text !== undefined);
    if (isFirst && (system.length > 0 || task.outputSchema || task.agent !== undefined)) {
      const appendSystemPrompt = system.length > 0 ? system.join('\n\n') : undefined;
      this.#control.send({ subtype: 'initialize', appendSystemPrompt, jsonSchema: task.outputSchema });
      this.#initialized = true;
    }
    if (task.model !== this.#model) {
      this.#control.send({ subtype: 'set_model', model: task.model });
      this.#model = task.model;
    }
    if (task.effort !== this.#effort) {
      this.#control.send({ subtype: 'apply_flag_settings', settings: { effortLevel: task.effort ?? null } });
      this.#effort = task.effort;
    }
    return isFirst && task.agent !== undefined;
  }
}

/** Picks the agent definitions from the response to `initialize`. The list is empty if the CLI gives none. */
export function agentsIn(message: ProtocolMessage): string[] | undefined {
  if (message.type !== 'control_response' || !message.requestId.startsWith('initialize-')) return undefined;
  return message.agents ?? [];
}

/**
 * Throws if the CLI does not know the task's agent definition. Otherwise the CLI would use its default agent, which may
 * have more permissions.
 */
export function refuseUnknownAgent({ agent }: Task, known: string[]): void {
  if (agent === undefined || known.length === 0 || known.includes(agent)) return;
  const why = `there are ${known.join(', ')}; AGENT_HOME=import adds those of the operator`;
  throw new ServiceError('agent_unknown', `Cannot run the agent "${agent}": ${why}`);
}

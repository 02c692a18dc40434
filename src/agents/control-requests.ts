/** Sends control requests to the CLI, and reads their responses. */
import { ServiceError } from '../errors.ts';
import { redact } from '../redact.ts';
import type { AgentEvent } from '../task.ts';
import type { AgentProcess } from './agent-process.ts';
import { type ControlRequest, controlLine } from './protocol/input.ts';
import type { ProtocolMessage } from './protocol/messages.ts';

export class ControlRequests {
  readonly #process: AgentProcess;
  #count = 0;

  constructor(process: AgentProcess) {
    this.#process = process;
  }

  /**
   * Sends a setting of the run, or an interrupt. Does not wait for the response: the CLI keeps the order of the lines,
   * and a refused setting fails the run.
   */
  send(request: ControlRequest): void {
    this.#write(request.subtype, request);
  }

  /**
   * Asks for the cost so far, of which `read` makes an event. Between two calls to the model the CLI answers within
   * 2 ms.
   */
  askForCost(): void {
    this.#write('cost', { subtype: 'get_session_cost' });
  }

  /** Asks for any answer. This question costs nothing and leaves no trace, even before the first turn. */
  askForSign(): void {
    this.#write('sign', { subtype: 'get_session_cost' });
  }

  /** Reads a response. Throws if the CLI refused a setting, but not if it refused to report the cost. */
  read(response: Extract<ProtocolMessage, { type: 'control_response' }>, emit?: (event: AgentEvent) => void): void {
    const { requestId, error, costUsd } = response;
    const isQuestion = /^(cost|sign)-/.test(requestId);
    if (error !== undefined && !isQuestion) {
      throw new ServiceError('agent_failed', `The agent refused the settings of the run: ${redact(error)}`);
    }
    if (costUsd !== undefined && requestId.startsWith('cost-')) emit?.({ type: 'cost', costUsd });
  }

  #write(name: string, request: ControlRequest): void {
    this.#count += 1;
    this.#process.write(controlLine(`${name}-${this.#count}`, request));
  }
}

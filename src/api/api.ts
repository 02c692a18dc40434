/**
 * The type of an API. An API reads requests in its own words and renders runs in these words. No code outside `api/`
 * knows the words.
 */
import type { ServiceError } from '../errors.ts';
import type { MemoryLog, Wanted } from '../runs/memory-log.ts';
import type { Run } from '../runs/run.ts';
import type { Outcome, Owner, Task } from '../task.ts';
import type { Models } from './models.ts';

/** @typeParam View what a request says about its answer, such as stop texts; only the API itself uses it */
export type Api<View> = {
  /** The name of the API. Requests of different APIs are never repeats of each other. */
  name: string;
  /** The base paths of the API. Users give a base URL with or without the version. */
  bases: string[];
  /** The path below a base that takes POST requests, such as `/chat/completions`. */
  path: string;
  policy: Policy;
  /** The beginning of the API's run ids. A `-` and a UUID follow. */
  runIdPrefix: string;
  /** Reads a request. Throws a `ServiceError`, such as `invalid_request` with the name of the field. */
  read(body: unknown, context: ReadContext): Promise<Asked<View>>;
  /** Renders the whole answer as JSON. Throws a `ServiceError` if the outcome is an error in this API. */
  whole(run: ChatRun, outcome: Outcome, view: View): string;
  /** Renders a stream as frames of server-sent events. Undefined if `read` refuses streams. */
  stream?(run: ChatRun, view: View, signal: AbortSignal): AsyncIterable<string>;
  /** Returns JSON without content, which is sent while a stream is silent. Undefined if a comment is sent instead. */
  keepAlive?(run: ChatRun, view: View): string;
  /** Renders the body of an error answer. */
  error(error: ServiceError): object;
  /** What the description of the API says about `path`. */
  about: { summary: string; body(): object };
};

// Each API has its own view type, which only the API itself uses.
// biome-ignore lint/suspicious/noExplicitAny: a list of generic values has no other type
export type AnyApi = Api<any>;

export type ChatRun = Run<MemoryLog>;

export type Policy = {
  /**
   * What happens if no slot is free. `refuse`: the request gets an error at once. `queue`: it waits, within the limits
   * of the queue.
   */
  whenBusy: 'refuse' | 'queue';
  /** Which agents may serve the API's requests. See `Task`. */
  reuse: Task['reuse'];
  /**
   * When the answer is sent. `after_release`: after the slot is released, so that the client's next request is not
   * refused. `at_outcome`: before that; the client's next request waits in the queue until the slot is free.
   */
  settle: 'after_release' | 'at_outcome';
};

export type ReadContext = {
  models: Models;
  owner: Owner;
  /**
   * What happens to request fields that have no effect. `accept`: they are named in the answer. `reject`: the request
   * is refused.
   */
  ignoredParams: 'accept' | 'reject';
  /** The events that the client wants to see besides the text. */
  agentEvents: ReadonlySet<AgentEventKind>;
  /** The query parameters of the request, none of which has an effect. */
  unknownQuery: string[];
  /** Returns what is wrong with a JSON Schema, as the end of a sentence. Returns `undefined` if the schema can be used. */
  schemaProblem(json: string): Promise<string | undefined>;
};

/** The words of the request header `x-agent-events`. */
export const agentEventKinds = ['tools', 'thinking'] as const;
export type AgentEventKind = (typeof agentEventKinds)[number];

/** A request after `read`. */
export type Asked<View> = {
  task: Pick<Task, 'model' | 'system' | 'messages' | 'effort' | 'outputSchema'>;
  view: View;
  stream: boolean;
  /** The events that `stream` uses. The run's log keeps no other events. */
  events: Wanted;
  /** The request fields that have no effect. */
  ignored: string[];
  /** The caller's own name for its user, for the log. */
  user?: string;
};

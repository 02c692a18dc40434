/** What an API is: it reads requests in its own words and renders runs in them. Nothing outside `api/` knows those words. */
import type { ServiceError } from '../errors.ts';
import type { MemoryLog } from '../runs/memory-log.ts';
import type { Run } from '../runs/run.ts';
import type { Outcome, Owner, RunEvent, Task } from '../task.ts';
import type { Models } from './models.ts';

/** @typeParam View what a request wants of its answer, which only its API understands */
export type Api<View> = {
  /** Part of idempotency: the same body is another request at another API. */
  name: string;
  /** Base paths: users give a base URL with and without its version. */
  bases: string[];
  /** The path below a base that takes requests by POST, such as `/chat/completions`. */
  path: string;
  policy: Policy;
  /** Run ids are this, `-` and a UUID. */
  runIdPrefix: string;
  /** Throws a `ServiceError`; `invalid_request` names the field. */
  read(body: unknown, context: ReadContext): Promise<Asked<View>>;
  /** The whole answer as JSON. Throws a `ServiceError` where this API calls the outcome an error. */
  whole(run: ChatRun, outcome: Outcome, view: View): string;
  /** Frames of server-sent events, from the first to the last. Absent: `read` refuses streams. */
  stream?(run: ChatRun, view: View, signal: AbortSignal): AsyncIterable<string>;
  /** A frame that means nothing. It is sent while a stream is silent; absent: a comment is. */
  keepAlive?(run: ChatRun, view: View): string;
  /** The body of an error answer. */
  error(error: ServiceError): object;
  /** For the description of the API. */
  about: { summary: string; body(): object };
};

// Each API has its own view, which only that API looks at.
// biome-ignore lint/suspicious/noExplicitAny: a list of generic values has no other type
export type AnyApi = Api<any>;

export type ChatRun = Run<MemoryLog>;

export type Policy = {
  /** `refuse`: no free slot is an error at once. `queue`: the request waits, within the bounds of the queue. */
  whenBusy: 'refuse' | 'queue';
  /** Whether prewarmed agents may serve, and are kept for a follow-up. */
  reuse: Task['reuse'];
  /**
   * `after_release`: the slot is released before the answer is sent, so the client's next request is not refused.
   * `at_outcome`: the answer is sent first; the next request waits in the queue for that moment.
   */
  settle: 'after_release' | 'at_outcome';
};

export type ReadContext = {
  models: Models;
  owner: Owner;
  /** Fields without effect: `reject` makes them an error. */
  ignoredParams: 'accept' | 'reject';
  /** Which events besides the text the client wants to see. */
  agentEvents: ReadonlySet<AgentEventKind>;
  /** What is wrong with a JSON Schema, as the end of a sentence; `undefined`: it can be compiled. */
  schemaProblem(json: string): Promise<string | undefined>;
};

/** Named in the request header `x-agent-events`. */
export const agentEventKinds = ['tools', 'thinking'] as const;
export type AgentEventKind = (typeof agentEventKinds)[number];

/** A request, read. */
export type Asked<View> = {
  task: Pick<Task, 'model' | 'system' | 'messages' | 'effort' | 'outputSchema'>;
  view: View;
  stream: boolean;
  /** The types of events that `stream` reads; the run's log keeps no other. */
  events: RunEvent['type'][];
  /** Fields that were sent and have no effect. */
  ignored: string[];
  /** The caller's own name for its user, for the log. */
  user?: string;
};

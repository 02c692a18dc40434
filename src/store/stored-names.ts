/**
 * The names under which the store keeps the task and the events of a chat request. They are older than the names in
 * `src/task.ts` and stay as they are, because the machines of a fleet are upgraded one at a time.
 */
import type { AgentStart, Task } from '../task.ts';
import type { StoredEventBody } from './job.ts';

const storedStarts: Record<AgentStart, string> = {
  new: 'cold',
  prewarmed: 'warm',
  reset: 'recycled',
  continued: 'continued',
};

/** Returns the JSON of a task. */
export function storedTask({ messages, ...task }: Task): string {
  return JSON.stringify({ ...task, turns: messages, launch: task.reuse === 'none' ? 'argument' : 'session' });
}

/** Reads the JSON that this or an earlier version has stored. */
export function taskFrom(json: string): Task {
  const { turns, launch, ...task } = JSON.parse(json);
  return { reuse: launch === 'argument' ? 'none' : 'kept', ...task, messages: turns };
}

/** Returns the JSON of an event. */
export function storedEvent(body: StoredEventBody): string {
  return JSON.stringify(body.type === 'working' ? { type: 'begun', how: storedStarts[body.start] } : body);
}

/** Reads the JSON that this or an earlier version has stored. */
export function eventFrom(json: string): StoredEventBody {
  const body = JSON.parse(json);
  if (body.type !== 'begun') return body;
  const starts = Object.keys(storedStarts) as AgentStart[];
  return { type: 'working', start: starts.find((start) => storedStarts[start] === body.how) ?? 'new' };
}

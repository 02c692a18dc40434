/** The names under which the store keeps tasks and events, which servers of an earlier version read and write too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventFrom, storedEvent, storedTask, taskFrom } from '../../src/store/stored-names.ts';
import type { Task } from '../../src/task.ts';

const messages: Task['messages'] = [{ role: 'user', blocks: [{ type: 'text', text: 'Hello' }] }];
const task: Task = {
  id: 'chatcmpl-1',
  kind: 'chat',
  owner: 'a',
  model: 'haiku',
  reuse: 'kept',
  messages,
  limits: { runMs: 1000, stallMs: 0, budgetUsd: 1 },
};

for (const [reuse, launch] of [
  ['none', 'argument'],
  ['prewarmed', 'session'],
  ['kept', 'session'],
] as const) {
  test(`a task with reuse \`${reuse}\` is read back as it was, and has the fields of an earlier version`, () => {
    const json = storedTask({ ...task, reuse });
    assert.deepEqual(taskFrom(json), { ...task, reuse });
    const { turns, launch: stored } = JSON.parse(json);
    assert.deepEqual([turns, stored], [messages, launch]);
  });
}

for (const [launch, reuse] of [
  ['argument', 'none'],
  ['session', 'kept'],
] as const) {
  test(`a task that an earlier version stored with launch \`${launch}\` is read`, () => {
    const { messages: turns, reuse: _, ...rest } = task;
    assert.deepEqual(taskFrom(JSON.stringify({ ...rest, turns, launch })), { ...task, reuse });
  });
}

for (const [start, how] of [
  ['new', 'cold'],
  ['prewarmed', 'warm'],
  ['reset', 'recycled'],
  ['continued', 'continued'],
] as const) {
  test(`the start \`${start}\` of an agent is stored as \`${how}\``, () => {
    const json = storedEvent({ type: 'working', start });
    assert.deepEqual(JSON.parse(json), { type: 'begun', how });
    assert.deepEqual(eventFrom(json), { type: 'working', start });
  });
}

test('other events are stored as they are', () => {
  const event = { type: 'text', text: 'begun' } as const;
  assert.deepEqual(eventFrom(storedEvent(event)), event);
});

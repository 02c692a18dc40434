/** Notifications reach the listeners of their topic, and a waiter misses none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Notifications, NotificationWaiter, type Topic } from '../../src/store/notifications.ts';

const never = new AbortController().signal;
/** Longer than the test may take: a wait that ends earlier has another cause. */
const long = 2 ** 30;

test('a listener is called for its own topic, until it is removed', () => {
  const notifications = new Notifications();
  const calls: Topic[] = [];
  const topics: Topic[] = ['work', 'job:1'];
  const [off] = topics.map((topic) => notifications.on(topic, () => calls.push(topic)));
  notifications.notify('work');
  notifications.notify('job:2');
  notifications.notifyAll();
  off?.();
  notifications.notify('work');
  assert.deepEqual(calls, ['work', 'work', 'job:1']);
});

test('a wait ends with the next notification', async () => {
  const notifications = new Notifications();
  const waiter = new NotificationWaiter(notifications, 'work');
  const waiting = waiter.wait(long, never);
  notifications.notify('work');
  await waiting;
  waiter.close();
});

test('a notification since the last wait ends the next wait, once', async () => {
  const notifications = new Notifications();
  const waiter = new NotificationWaiter(notifications, 'work');
  notifications.notify('work');
  notifications.notify('work');
  await waiter.wait(long, never);
  let ended = false;
  const second = waiter.wait(long, never).then(() => {
    ended = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(ended, false);
  notifications.notify('work');
  await second;
  waiter.close();
});

test('a wait ends after its time, and when its signal aborts', async () => {
  const waiter = new NotificationWaiter(new Notifications(), 'work');
  await waiter.wait(1, never);
  const gone = new AbortController();
  const waiting = waiter.wait(long, gone.signal);
  gone.abort();
  await waiting;
  await waiter.wait(long, gone.signal);
  waiter.close();
});

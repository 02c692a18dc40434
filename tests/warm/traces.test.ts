/** What an agent leaves in the home of its user. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, startLoopbackService } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

test('runs leave no folders of theirs behind in the home of the user', async (t) => {
  const { service, home } = await startLoopbackService(t, { RESTING_AGENTS: '0', SANDBOX: 'off' });
  for (const door of ['/v1', '/openai/v1']) {
    assert.equal((await service.post(`${door}/chat/completions`, ask('[[say: a]]'))).status, 200);
  }
  await waitUntil('the folders are gone', async () => {
    const projects = await readdir(join(home, '.claude', 'projects')).catch(() => []);
    return projects.length === 0;
  });
  assert.ok((await readdir(join(home, '.claude'))).length > 0, 'the agents did use this home');
});

/** The tests that every published client must pass. */
import { describe, test } from 'node:test';
import type { PublishedClient } from './client.ts';
import { failingAgents } from './failing-agents.ts';
import { theRealAgent } from './the-real-agent.ts';

export function clientSuite(client: PublishedClient): void {
  describe(client.name, { concurrency: true }, () => {
    test('with the real agent', (t) => theRealAgent(t, client));
    test('with failing agents', { concurrency: true }, (t) => failingAgents(t, client));
  });
}

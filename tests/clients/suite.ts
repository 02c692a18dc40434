/** The tests that every published client must pass. */
import { describe, test } from 'node:test';
import { agentsInTrouble } from './agents-in-trouble.ts';
import type { PublishedClient } from './client.ts';
import { theRealAgent } from './the-real-agent.ts';

export function clientSuite(client: PublishedClient): void {
  describe(client.name, { concurrency: true }, () => {
    test('with the real agent', (t) => theRealAgent(t, client));
    test('with agents in trouble', { concurrency: true }, (t) => agentsInTrouble(t, client));
  });
}

/** Thousands of bodies with one error each are refused, and no memory or process is left. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { malformedBodies, validBodies } from '../support/malformed-bodies.ts';
import { assertPublished } from '../support/published-schemas.ts';
import { startScriptedService } from '../support/scripted-agent.ts';
import { requirement } from './requirements.ts';

const apis = ['/v1', '/openai/v1'] as const;
const seed = 20_261_121;
const count = 2400;
/** Requests under way at once. */
const lanes = 8;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapUsed(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

async function inLanes<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const lane = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

describe('malformed bodies', () => {
  test('the valid bodies that they are made from are served', async (t) => {
    const service = await startScriptedService(t);
    for (const api of apis) {
      for (const body of validBodies()) {
        const response = await service.chat(api, body);
        assert.equal(response.status, 200, await response.text());
      }
    }
  });

  test(requirement(['item-5', 'item-6', 'item-10', 'item-62', 'C-10', 'C-11'], 'none starts an agent'), async (t) => {
    const service = await startScriptedService(t);
    const bodies = malformedBodies(count, seed);
    const accepted: string[] = [];
    const before = heapUsed();
    for (const api of apis) {
      await inLanes(bodies, async ({ what, text, field }) => {
        const response = await service.chat(api, text);
        const answer = (await response.json()) as { error: { param: string | null } };
        if (response.status !== 400) {
          accepted.push(`${api} ${response.status} ${what}: ${text.slice(0, 500)}`);
          return;
        }
        assert.equal(response.headers.get('x-should-retry'), 'false');
        if (api === '/v1') return;
        assertPublished('ErrorResponse', answer);
        if (field) assert.equal(answer.error.param?.split(/[.[]/)[0], field, `${what}: ${JSON.stringify(answer)}`);
      });
    }
    assert.deepEqual(accepted, []);
    assert.deepEqual([service.starts(), service.received()], [[], []]);
    const { active, queued } = (await (await service.get('/health')).json()) as { active: number; queued: number };
    assert.deepEqual({ active, queued }, { active: 0, queued: 0 });
    const grown = (heapUsed() - before) / 1e6;
    t.diagnostic(`${bodies.length} bodies at each of ${apis.length} APIs; the heap grew by ${grown.toFixed(1)} MB`);
    assert.ok(grown < 20, `the heap grew by ${grown} MB`);
  });
});

/** The secrets that sign webhooks: one per API key, never a key itself, equal on all machines, and shown only to its own key. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import OpenAI from 'openai';
import { loadConfig } from '../../src/config/config.ts';
import { startService } from '../../src/service.ts';
import { webhookSecretOf } from '../../src/webhooks/secret.ts';
import { requirement } from '../contract/requirements.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { execute, promptFor } from '../support/http-jobs.ts';
import { postgresMissing, startPostgres } from '../support/postgres.ts';
import { startScriptedService } from '../support/scripted-agent.ts';
import { startTestService, type TestService, testToken } from '../support/service.ts';
import { waitUntil } from '../support/wait-until.ts';

type Received = { headers: IncomingHttpHeaders; body: string };
type IsGenuine = (headers: IncomingHttpHeaders, body: string, secret: string) => boolean;

const as = (key: string) => ({ authorization: `Bearer ${key}` });
const rootPath = (service: TestService) => join(service.dataDir, 'callback-secret');

async function startReceiver(t: TestContext) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, received };
}

async function secretFor(service: TestService, key = testToken): Promise<string> {
  const response = await service.get('/callback-secret', as(key));
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('cache-control'), 'no-store');
  return ((await response.json()) as { secret: string }).secret;
}

/** The check that docs/jobs.md shows to receivers. */
async function documentedCheck(): Promise<IsGenuine> {
  const text = await readFile(new URL('../../docs/jobs.md', import.meta.url), 'utf8');
  const code = /```js\n([^`]*function isGenuine[\s\S]*?)```/.exec(text)?.[1] ?? '';
  const module = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as { isGenuine: IsGenuine };
  return module.isGenuine;
}

function signedWith(key: Buffer | string, { headers, body }: Received): boolean {
  const text = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  return headers['webhook-signature'] === `v1,${createHmac('sha256', key).update(text).digest('base64')}`;
}

describe('webhook secrets', () => {
  test(requirement('J-24'), async (t) => {
    const { url, received } = await startReceiver(t);
    const service = await startScriptedService(t, { API_KEYS: 'ada,bob', CALLBACK_ALLOW_PRIVATE: 'on' });
    const keys = [testToken, 'ada', 'bob'];
    const secrets = await Promise.all(keys.map((key) => secretFor(service, key)));
    assert.equal(new Set(secrets).size, 3);
    const root = (await readFile(rootPath(service), 'utf8')).trim();
    for (const secret of [...secrets, root]) assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
    assert.ok(!secrets.includes(root));

    const isGenuine = await documentedCheck();
    const { webhooks } = new OpenAI({ apiKey: 'none' });
    for (const [at, key] of keys.entries()) {
      const before = received.length;
      const id = await execute(service, { prompt: promptFor({ say: ['Paris.'] }), callback_url: url }, as(key));
      const webhook = await waitUntil('the webhook arrives', () => received[before]);
      assert.equal(webhook.headers['webhook-id'], id);
      const genuine = secrets.map((secret) => isGenuine(webhook.headers, webhook.body, secret));
      assert.deepEqual(
        genuine,
        keys.map((_, other) => other === at),
      );
      // Another implementation of the same specification.
      await webhooks.verifySignature(webhook.body, webhook.headers, secrets[at]);
      for (const guess of [...keys, root, Buffer.from(root.slice(6), 'base64')]) {
        assert.equal(signedWith(guess, webhook), false, `signed with ${guess}`);
      }
      const record = await (await service.get(`/jobs/${id}`)).text();
      for (const secret of [...secrets, root]) assert.ok(!(record + webhook.body).includes(secret));
    }
  });

  test('the secret of a key is shown to its holder alone', async (t) => {
    const service = await startTestService(t, { API_KEYS: 'ada' });
    for (const headers of [{}, as('wrong')]) {
      const response = await fetch(`${service.url}/callback-secret`, { headers });
      assert.equal(response.status, 401);
      assert.ok(!(await response.text()).includes('whsec_'));
    }
    const description = await (await service.get('/openapi.json')).text();
    assert.match(description, /"\/callback-secret":\{"get"/);
    assert.ok(!(await (await service.get('/metrics')).text()).includes('whsec_'));
  });

  test('the root is made once, only its own user can read it, and it is kept over a restart', async (t) => {
    const before = process.umask(0);
    t.after(() => process.umask(before));
    const dataDir = join(await scratchFolder(t), 'data');
    const first = await startTestService(t, { DATA_DIR: dataDir });
    const secret = await secretFor(first);
    assert.equal((await stat(join(dataDir, 'callback-secret'))).mode & 0o777, 0o600);
    assert.equal((await stat(dataDir)).mode & 0o777, 0o700);
    await first.close(0);
    const next = await startTestService(t, { DATA_DIR: dataDir });
    assert.equal(await secretFor(next), secret);
  });

  test('CALLBACK_SECRET is the root: it is no key’s secret itself, and gives the same secrets on every server', async (t) => {
    const root = 'a root that is long enough';
    const one = await startTestService(t, { CALLBACK_SECRET: root, API_KEYS: 'ada' });
    const other = await startTestService(t, { CALLBACK_SECRET: root, API_KEYS: 'ada' });
    for (const key of [testToken, 'ada']) {
      const secret = await secretFor(one, key);
      assert.equal(await secretFor(other, key), secret);
      assert.ok(!Buffer.from(secret.slice(6), 'base64').includes(root));
    }
    assert.notEqual(await secretFor(one), await secretFor(one, 'ada'));
    await assert.rejects(stat(rootPath(one)), { code: 'ENOENT' });
  });

  test('machines that share the jobs share the root', { skip: postgresMissing() ?? false }, async (t) => {
    const postgres = await startPostgres();
    t.after(() => postgres.stop());
    const { url } = await postgres.createDatabase();
    // The first machine had a store of its own before.
    const alone = await startTestService(t);
    const secret = await secretFor(alone);
    await alone.close(0);
    const settings = { DATABASE_URL: url, API_KEYS: 'ada' };
    const first = await startTestService(t, { ...settings, DATA_DIR: alone.dataDir });
    assert.equal(await secretFor(first), secret);
    const others = await Promise.all([1, 2].map(() => startTestService(t, settings)));
    for (const key of [testToken, 'ada']) {
      for (const other of others) assert.equal(await secretFor(other, key), await secretFor(first, key));
    }
    for (const other of others) await assert.rejects(stat(rootPath(other)), { code: 'ENOENT' });
  });
});

describe('CALLBACK_SECRET is refused', () => {
  const long = 'k'.repeat(30);
  for (const [why, given, message] of [
    ['as the key of the operator', { API_BEARER_TOKEN: long, CALLBACK_SECRET: long }, /one of the API keys/],
    ['as another key', { API_KEYS: `other,${long}`, CALLBACK_SECRET: `${long}\n` }, /one of the API keys/],
    ['when it is short enough to be guessed', { CALLBACK_SECRET: 'tiger-tiger' }, /11 bytes .* at least 24/],
    ['when it has too few bytes as base64', { CALLBACK_SECRET: `whsec_${btoa(long.slice(0, 20))}` }, /20 bytes/],
    ['when it is not base64', { CALLBACK_SECRET: `whsec_${long}%` }, /not base64/],
  ] as const) {
    test(why, () => {
      assert.throws(
        () => loadConfig([], given),
        ({ message: text }: Error) => {
          assert.match(text, message);
          assert.match(text, /^Cannot use CALLBACK_SECRET: [^\n]*$/);
          assert.ok(!text.includes(given.CALLBACK_SECRET.trim()));
          return true;
        },
      );
    });
  }

  test('as the key that is kept in the data folder', async (t) => {
    const dataDir = await scratchFolder(t);
    const environment = { DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'silent', PREWARMED_AGENTS: '0' };
    const start = async (more: Record<string, string> = {}) => {
      const service = await startService(loadConfig([], { ...environment, ...more }), {});
      await service.close(0);
      return service.token;
    };
    const key = await start();
    await assert.rejects(start({ CALLBACK_SECRET: key }), /^Error: Cannot use CALLBACK_SECRET: it is one of the API/);
    assert.equal(await start(), key);
  });
});

test('a root in the form whsec_ counts by its bytes, and each root and each owner gives another secret', () => {
  const cases: [root: string, owner: string, secret: string][] = [
    ['whsec_c2VjcmV0', 'a', webhookSecretOf('secret', 'a')],
    ['secret', 'b', webhookSecretOf('whsec_c2VjcmV0', 'b')],
  ];
  for (const [root, owner, secret] of cases) assert.equal(webhookSecretOf(root, owner), secret);
  assert.notEqual(webhookSecretOf('secret', 'a'), webhookSecretOf('secret', 'b'));
  assert.notEqual(webhookSecretOf('secret', 'a'), webhookSecretOf('secret2', 'a'));
});

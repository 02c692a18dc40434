/** An agent that may run any command reaches its own work from inside its room, and nothing else. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Environment, hostEnvironment } from '../../src/config/config.ts';
import { fakeModelEnvironment } from '../../src/fake-model/agent-environment.ts';
import { type FakeModel, startFakeModel } from '../../src/fake-model/fake-model.ts';
import { lastToolResult } from '../../src/fake-model/messages-api.ts';
import { withoutBubblewrap } from '../support/bubblewrap.ts';
import { packagedClaude } from '../support/fake-model-agent.ts';
import { makeClone, makeSandbox } from '../support/git-repositories.ts';
import { ask, startTestService, type TestService, testToken } from '../support/service.ts';

/** Git ignores this folder, and it is not below /tmp, which is hidden as a whole. */
const ignored = fileURLToPath(new URL('../../dist', import.meta.url));
mkdirSync(ignored, { recursive: true });
const secret = 'SECRET-OF-THE-HOST';
const login = JSON.stringify({ claudeAiOauth: { accessToken: 'LOGIN-OF-THE-OPERATOR', expiresAt: 4e12, scopes: [] } });

type Ground = { service: TestService; model: FakeModel; home: string; clone: string };

/** A server on a host with secrets in a home, other projects, and cloud credentials. */
async function ground(t: TestContext, settings: Record<string, string> = {}, more: Environment = {}): Promise<Ground> {
  const sandbox = makeSandbox();
  t.after(sandbox.remove);
  const folder = mkdtempSync(join(ignored, 'test-host-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const home = join(folder, 'home');
  const { clone } = makeClone({ ...sandbox, folder }, { 'a.txt': 'one\n', 'CLAUDE.md': 'Be brief.\n' });
  const secrets = ['.ssh/id_rsa', '.aws/credentials', '.netrc', '.claude/history.jsonl', '.claude.json', 'other/.env'];
  for (const name of secrets) {
    mkdirSync(join(home, name, '..'), { recursive: true });
    writeFileSync(
      join(home, name),
      name === '.claude.json'
        ? `{"primaryApiKey":"${secret}","oauthAccount":{"x":"${secret}"},"mcpServers":{"x":{"command":"${secret}"}}}`
        : secret,
    );
  }
  writeFileSync(join(home, '.claude', '.credentials.json'), login);
  writeFileSync(join(clone, '.env'), secret);
  const model = await startFakeModel();
  t.after(() => model.close());
  const environment = { ...fakeModelEnvironment(model.url, home, hostEnvironment()), ...more };
  const service = await startTestService(
    t,
    {
      AGENT_ACCESS: 'full',
      WORKSPACE_DIR: clone,
      GIT_SYNC: 'off',
      CLAUDE_BIN: packagedClaude,
      SANDBOX: 'required',
      ...settings,
    },
    environment,
  );
  return { service, model, home, clone };
}

/** The output of a shell script that the agent runs with its Bash tool. */
async function inside(
  { service, model }: Ground,
  script: string,
  headers: Record<string, string> = {},
): Promise<string> {
  const question = `[[tool: Bash ${JSON.stringify({ command: script })}]] [[say: done ${script.length} ${Math.random()}]]`;
  const answer = await service.post('/openai/v1/chat/completions', ask(question), headers);
  assert.equal(answer.status, 200, await answer.text());
  return lastToolResult(model.asked().at(-1)?.messages ?? []) ?? '';
}

test('no secret of the host can be read', { skip: withoutBubblewrap }, async (t) => {
  const all = await ground(
    t,
    {},
    { AWS_SECRET_ACCESS_KEY: secret, GOOGLE_APPLICATION_CREDENTIALS: `/x/${secret}`, SSH_AUTH_SOCK: `/x/${secret}` },
  );
  const { service, home, clone } = all;
  const folders = [home, clone, service.dataDir, '/root', '/tmp', '/run', '/var/tmp', '/home'];
  const found = await inside(
    all,
    [
      // The pattern is in two parts, so that the script does not find itself.
      `grep -rlIF "SECRET""-OF-THE-HOST" ${folders.join(' ')} 2>/dev/null | sed s/^/FOUND:/`,
      'env | grep SECRET-OF',
      `cat ${service.dataDir}/api-key ${clone}/.env ${home}/.netrc && echo FOUND:file`,
      'find / -xdev -type s -not -path "/tmp/cc-socks/*" 2>/dev/null | sed s/^/FOUND:/',
      'ls -A /home; git log --oneline',
    ].join('\n'),
  );
  assert.doesNotMatch(found, /SECRET-OF|FOUND/);
  assert.ok(!found.includes(testToken));
  assert.match(found, /^agent$/m, 'of the homes there is only its own');
  assert.match(found, /first/, 'its own repository can be read');
});

test('an agent gets the credentials of the cloud provider in use, and of no other', {
  skip: withoutBubblewrap,
}, async (t) => {
  const aws = { AWS_SECRET_ACCESS_KEY: 'AWS-KEY', AZURE_CLIENT_SECRET: 'AZURE-KEY', GOOGLE_API_KEY: 'GOOGLE-KEY' };
  const { agentEnvironment } = await import('../../src/agents/sandbox/environment.ts');
  for (const [setting, expected] of [
    ['NONE', []],
    ['CLAUDE_CODE_USE_BEDROCK', ['AWS-KEY']],
    ['CLAUDE_CODE_USE_VERTEX', ['GOOGLE-KEY']],
    ['CLAUDE_CODE_USE_FOUNDRY', ['AZURE-KEY']],
  ] as const) {
    const given = Object.values(agentEnvironment({ ...aws, [setting]: '1' }, [])).filter((value) =>
      value?.endsWith('-KEY'),
    );
    assert.deepEqual(given, expected, setting);
  }
  t.diagnostic('the variables are those of the host; no cloud was asked');
});

test('an agent can get no capability and no namespace, and change no setting of the kernel', {
  skip: withoutBubblewrap,
}, async (t) => {
  const found = await inside(
    await ground(t),
    [
      'grep ^Cap /proc/self/status',
      'unshare --user --map-root-user true && echo GOT-NAMESPACE',
      'unshare --mount true && echo GOT-MOUNTS',
      'mount -t tmpfs none /mnt && echo GOT-MOUNT',
      'umount /tmp && echo GOT-UMOUNT',
      'mount -o remount,rw / && echo GOT-REMOUNT',
      'chroot / true && echo GOT-CHROOT',
      'mknod /tmp/disk b 8 0 && echo GOT-DEVICE',
      'for each in kernel/core_pattern kernel/modprobe vm/drop_caches user/max_user_namespaces kernel/hostname; do (echo 1 > /proc/sys/$each) && echo GOT-$each; done',
      '(echo h > /proc/sysrq-trigger) && echo GOT-SYSRQ',
      'touch /usr/planted /etc/planted /opt/planted /var/planted && echo GOT-SYSTEM',
      `kill -0 ${process.pid} && test "$(cat /proc/${process.pid}/comm)" = node && echo GOT-SERVER`,
      'ipcs -m | grep -c 0x; hostname attacker && echo GOT-HOSTNAME',
      'echo end',
    ].join('\n'),
  );
  assert.doesNotMatch(found, /GOT-/);
  assert.equal(found.match(/^Cap\w+:\s+0{16}$/gm)?.length, 5, found);
  assert.match(found, /^end$/m);
});

test("files that an agent writes in its home reach no other run and not the operator's own claude", {
  skip: withoutBubblewrap,
}, async (t) => {
  const all = await ground(t, { IDLE_AGENTS: '2', API_KEYS: 'second-key' });
  const before = snapshotOf(all.home);
  const planted = [
    'for each in settings.json CLAUDE.md shell-snapshots/planted.sh agents/planted.md .claude.json; do mkdir -p ~/.claude/$(dirname $each); echo PLANTED > ~/.claude/$each; done',
    'echo PLANTED > ~/.bashrc; echo PLANTED > ~/.gitconfig; echo PLANTED > /tmp/planted; echo PLANTED > /dev/shm/planted',
    `mkdir -p ${all.home}/.claude; echo PLANTED > ${all.home}/.claude/settings.json; echo PLANTED > ${all.home}/.bashrc`,
    'echo planted it all',
  ];
  assert.match(await inside(all, planted.join('\n')), /planted it all/);
  assert.deepEqual(snapshotOf(all.home), before);
  const look = `grep -rl PLANTED ~ ${all.home} /tmp /dev/shm . 2>/dev/null | sed s/^/FOUND:/; echo looked`;
  for (const key of [testToken, 'second-key']) {
    const found = await inside(all, look, { authorization: `Bearer ${key}` });
    assert.match(found, /looked/);
    assert.doesNotMatch(found, /FOUND/);
  }
});

test('the home of an agent is removed when it ends', { skip: withoutBubblewrap }, async (t) => {
  const all = await ground(t, { IDLE_AGENTS: '0' });
  for (let at = 0; at < 3; at += 1)
    await inside(all, `mkdir -p ~/a/b; head -c 100000 /dev/zero > ~/a/b/big; chmod 0 ~/a/b ~/a; echo ${at}`);
  await all.service.close(0);
  assert.deepEqual(readdirSync(join(all.service.dataDir, 'homes')), []);
});

test('the login is the only file of the operator in the room, and only where it is needed', {
  skip: withoutBubblewrap,
}, async (t) => {
  const look = 'cat ~/.login/.credentials.json ~/.claude/.credentials.json; echo looked';
  assert.doesNotMatch(await inside(await ground(t), look), /LOGIN-OF-THE-OPERATOR/);
  const script = join(ignored, 'test-login-agent');
  t.after(() => rmSync(script, { force: true }));
  writeFileSync(
    script,
    '#!/bin/sh\ncat "$CLAUDE_SECURESTORAGE_CONFIG_DIR/.credentials.json"; find ~ -type f | sort; echo x >> "$CLAUDE_SECURESTORAGE_CONFIG_DIR/.credentials.json"\n',
    { mode: 0o755 },
  );
  const { service, home } = await ground(t, { CLAUDE_BIN: script }, { ANTHROPIC_API_KEY: undefined });
  const text = JSON.stringify(await (await service.post('/v1/chat/completions', ask('hello'))).json());
  assert.match(text, /LOGIN-OF-THE-OPERATOR/);
  assert.doesNotMatch(text, /SECRET|\.ssh|history/);
  assert.equal(
    readFileSync(join(home, '.claude', '.credentials.json'), 'utf8'),
    `${login}x\n`,
    'a renewal reaches the operator',
  );
});

test("a path in AGENT_READS can be read, and one in the operator's home also in the home of the agent", {
  skip: withoutBubblewrap,
}, async (t) => {
  const folder = mkdtempSync(join(ignored, 'test-reads-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'tool'), 'TOOL');
  const home = join(folder, 'home');
  mkdirSync(join(home, '.config', 'x'), { recursive: true });
  writeFileSync(join(home, '.npmrc'), 'NPMRC');
  writeFileSync(join(home, '.config', 'x', 'y'), 'CONFIG');
  const reads = [join(folder, 'tool'), join(home, '.npmrc'), join(home, '.config', 'x')].join(',');
  const all = await ground(t, { AGENT_READS: reads }, { HOME: home });
  const found = await inside(
    all,
    `cat ${folder}/tool ~/.npmrc ${home}/.npmrc ~/.config/x/y; (echo x > ~/.npmrc) || echo refused; git config user.name`,
  );
  assert.match(found, /TOOLNPMRCNPMRCCONFIG/);
  assert.match(found, /refused/);
});

test("a shared workspace shows its own files, and none of the server's", {
  skip: withoutBubblewrap,
}, async (t) => {
  const folder = mkdtempSync(join(ignored, 'test-shared-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const inIt = { WORKSPACE_DIR: folder, WORKSPACE_MODE: 'shared', DATA_DIR: join(folder, 'data') };
  await assert.rejects(
    ground(t, inIt),
    /as a shared workspace: DATA_DIR=.* lies in it; set DATA_DIR to a folder elsewhere/,
  );
});

test('AGENT_READS above the data folder does not show the data folder', { skip: withoutBubblewrap }, async (t) => {
  const data = mkdtempSync(join(ignored, 'test-data-'));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  const all = await ground(t, { AGENT_READS: ignored, DATA_DIR: data });
  const found = await inside(
    all,
    `ls -A ${data}; cat ${data}/callback-secret; ls ${ignored}; cat ${all.clone}/.env; git log --oneline; echo end`,
  );
  assert.doesNotMatch(found, /lock\.sqlite|whsec_|SECRET-OF/);
  assert.match(found, /test-data-.*first.*end/s);
});

test("AGENT_HOME=import lets agents read the operator's settings, and not write them", {
  skip: withoutBubblewrap,
}, async (t) => {
  const all = await ground(t, { AGENT_HOME: 'import' });
  mkdirSync(join(all.home, '.claude', 'agents'), { recursive: true });
  writeFileSync(join(all.home, '.claude', 'CLAUDE.md'), 'MEMORY-OF-THE-OPERATOR');
  writeFileSync(join(all.home, '.claude', 'settings.json'), '{}');
  const found = await inside(
    all,
    'cat ~/.claude/CLAUDE.md; (echo x > ~/.claude/settings.json) || echo refused; touch ~/.claude/agents/x || echo refused',
  );
  assert.match(found, /MEMORY-OF-THE-OPERATOR/);
  assert.equal(found.match(/^refused$/gm)?.length, 2);
  assert.ok(JSON.stringify(all.model.asked().at(-1)).includes('MEMORY-OF-THE-OPERATOR'));
  assert.equal(existsSync(join(all.home, '.claude', 'agents', 'x')), false);
});

/** Every file below a folder with its text. */
function snapshotOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((entry) => [
      join(entry.parentPath, entry.name),
      readFileSync(join(entry.parentPath, entry.name), 'utf8'),
    ]),
  );
}

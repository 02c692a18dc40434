/** How settings are read from flags and the environment, and which values are refused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Config, loadConfig, settings } from '../../src/config/config.ts';
import { renamed, renamedProblem } from '../../src/config/renamed.ts';

describe('a value is read', () => {
  const cases: [environment: Record<string, string>, name: keyof Config, value: unknown][] = [
    [{}, 'port', 8000],
    [{ PORT: '' }, 'port', 8000],
    [{ PORT: '0' }, 'port', 0],
    [{ JOB_SHARE: '0.25' }, 'jobShare', 0.25],
    [{ TRUST_WORKSPACE: 'on' }, 'trustWorkspace', true],
    [{ TRUST_WORKSPACE: 'TRUE' }, 'trustWorkspace', true],
    [{ TRUST_WORKSPACE: 'no' }, 'trustWorkspace', false],
    [{ V1_API: 'openai' }, 'v1Api', 'openai'],
    [{ API_KEYS: ' ada, bob ,,' }, 'apiKeys', ['ada', 'bob']],
    [{ MODEL_ALIASES: 'gpt-4o = sonnet,mini=haiku' }, 'modelAliases', { 'gpt-4o': 'sonnet', mini: 'haiku' }],
    [{ RESERVED_WAITING_JOBS: '0' }, 'reservedWaitingJobs', 0],
    [{}, 'reservedWaitingJobs', undefined],
    [{}, 'apiBearerToken', undefined],
    [{ API_BEARER_TOKEN: '' }, 'apiBearerToken', ''],
    [{ XDG_DATA_HOME: '/data' }, 'dataDir', '/data/claude-agent-server'],
    [{ XDG_DATA_HOME: '/data', DATA_DIR: '/own' }, 'dataDir', '/own'],
    [{ MAX_BUDGET_USD: '1' }, 'chatBudgetUsd', 1],
    [{ MAX_BUDGET_USD: '3' }, 'chatBudgetUsd', 2],
  ];
  for (const [environment, name, value] of cases) {
    test(`${JSON.stringify(environment)} gives ${name} ${JSON.stringify(value)}`, () => {
      assert.deepEqual(loadConfig([], environment)[name], value);
    });
  }

  for (const flags of [['--port', '8001'], ['--port=8001']]) {
    test(`${flags.join(' ')} takes precedence over PORT`, () => {
      assert.equal(loadConfig(flags, { PORT: '9000' }).port, 8001);
    });
  }
});

describe('a value is refused with one line', () => {
  const cases: [environment: Record<string, string>, message: string][] = [
    [{ PORT: '65536' }, 'Cannot use PORT="65536": it takes a number from 0 to 65535'],
    [{ PORT: '-1' }, 'Cannot use PORT="-1": it takes a number from 0 to 65535'],
    [{ PORT: '80.5' }, 'Cannot use PORT="80.5": it takes a number from 0 to 65535'],
    [{ JOB_SHARE: '1e-1' }, 'Cannot use JOB_SHARE="1e-1": it takes a number from 0 to 1'],
    [{ TRUST_WORKSPACE: 'maybe' }, 'Cannot use TRUST_WORKSPACE="maybe": it takes on or off'],
    [{ V1_API: 'contract' }, 'Cannot use V1_API="contract": it takes one of native, openai'],
    [{ MODEL_ALIASES: 'gpt-4o' }, 'Cannot use MODEL_ALIASES="gpt-4o": it takes from=to,from=to'],
    [{ MODEL_ALIASES: 'gpt-4o=gpt' }, 'Cannot use MODEL_ALIASES gpt-4o=gpt: MODELS has haiku, sonnet, opus'],
    [{ DEFAULT_MODEL: 'gpt' }, 'Cannot use DEFAULT_MODEL="gpt": MODELS has haiku, sonnet, opus'],
    [
      { MAX_CONCURRENT_RUNS: '2', CHAT_RESERVED_SLOTS: '2' },
      'Cannot use CHAT_RESERVED_SLOTS=2: of MAX_CONCURRENT_RUNS=2 slots none is left for jobs',
    ],
    [{ MAX_BUDGET_USD: '3', CHAT_BUDGET_USD: '4' }, 'Cannot use CHAT_BUDGET_USD=4: it is above MAX_BUDGET_USD=3'],
    [
      { MAX_WAITING_JOBS: '5', RESERVED_WAITING_JOBS: '5' },
      'Cannot use RESERVED_WAITING_JOBS=5: of MAX_WAITING_JOBS=5 none is left for other keys',
    ],
    [{ ROLE: 'worker' }, 'Cannot use ROLE=worker: DATABASE_URL is not set, so there is no other machine'],
    [{ AGENT_READS: '/ok,npmrc' }, 'Cannot use AGENT_READS="npmrc": it is not an absolute path'],
    [{ WORKSPACE_MODE: 'shared' }, 'Cannot use WORKSPACE_MODE=shared: WORKSPACE_DIR is not set'],
    [{ SPARE_WORKTREES: '1' }, 'Cannot use SPARE_WORKTREES: its name is now PREPARED_WORKTREES'],
    [
      { V1_DIALECT: 'contract' },
      'Cannot use V1_DIALECT: its name is now V1_API, and its value `contract` is now `native`',
    ],
  ];
  for (const [environment, message] of cases) {
    test(message, () => assert.throws(() => loadConfig([], environment), { message }));
  }

  for (const [flags, message] of [
    [['--prot=1'], 'Cannot use "--prot": no such setting; --help lists them'],
    [
      ['port', '1'],
      'Cannot use "port": no such setting; --help lists them\nCannot use "1": no such setting; --help lists them',
    ],
    [['--prot', '1'], 'Cannot use "--prot": no such setting; --help lists them'],
    [['--warm-agents', '2'], 'Cannot use WARM_AGENTS: its name is now PREWARMED_AGENTS'],
    [['--port'], 'Cannot use --port: it has no value'],
  ] as const) {
    test(`${flags.join(' ')}: ${message}`, () => assert.throws(() => loadConfig([...flags], {}), { message }));
  }

  test('every problem is listed', () => {
    assert.throws(
      () => loadConfig(['--prot=1'], { PORT: 'x', ROLE: 'x' }),
      ({ message }: Error) => {
        assert.equal(message.split('\n').length, 3);
        return true;
      },
    );
  });
});

test('every new name of a renamed setting is the name of a setting', () => {
  const names = Object.values(settings).map(({ name }) => name);
  for (const old of renamed) {
    const now = /its name is now (\w+)/.exec(renamedProblem(old) ?? '')?.[1] ?? '';
    assert.ok(names.includes(now) && !names.includes(old), `${old}: ${now}`);
  }
});

test('every setting has a meaning that ends as a sentence, and a default that can be shown', () => {
  for (const { name, about, default: shown } of Object.values(settings)) {
    assert.match(about, /^[A-Z`"].*\.$/, name);
    assert.notEqual(shown, '', name);
  }
});

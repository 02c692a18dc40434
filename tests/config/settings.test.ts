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
    [{ API_BEARER_TOKEN: ' \n' }, 'apiBearerToken', ''],
    [{ API_BEARER_TOKEN: 'key\r\n' }, 'apiBearerToken', 'key'],
    [{ API_BEARER_TOKEN: ' key ' }, 'apiBearerToken', 'key'],
    [{ API_KEYS: 'ada,bob\n' }, 'apiKeys', ['ada', 'bob']],
    [{ PORT: '8001\n' }, 'port', 8001],
    [{ DATABASE_URL: 'postgres://h/d\n' }, 'databaseUrl', 'postgres://h/d'],
    [
      { CORS_ORIGINS: 'https://a.example:444, app://obsidian.md' },
      'corsOrigins',
      ['https://a.example:444', 'app://obsidian.md'],
    ],
    [{ ALLOWED_HOSTS: '*, a.example:8000,[fd00::1]' }, 'allowedHosts', ['*', 'a.example:8000', '[fd00::1]']],
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
    ...['My API Key', 'a\tb', 'a\nb'].map((API_BEARER_TOKEN): [Record<string, string>, string] => [
      { API_BEARER_TOKEN },
      'Cannot use API_BEARER_TOKEN: it has white space in it, which a header cannot carry; a key has only visible ASCII characters',
    ]),
    [
      { API_KEYS: 'ada,Bob\nKey' },
      'Cannot use API_KEYS: it has white space in it, which a header cannot carry; a key has only visible ASCII characters',
    ],
    [
      { API_KEYS: 'schl\u00fcssel' },
      'Cannot use API_KEYS: it has a character that is not ASCII or cannot be seen in it, which a header cannot carry; a key has only visible ASCII characters',
    ],
    [{ CORS_ORIGINS: '*' }, 'Cannot use CORS_ORIGINS="*": it is not an origin such as https://chat.example'],
    [
      { CORS_ORIGINS: 'https://a.example/' },
      'Cannot use CORS_ORIGINS="https://a.example/": it is not an origin such as https://chat.example',
    ],
    [
      { ALLOWED_HOSTS: 'https://a.example' },
      'Cannot use ALLOWED_HOSTS="https://a.example": it is not the name of a host such as agents.example',
    ],
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
    [['--prot=1'], 'Cannot use "--prot": there is no such setting; did you mean --port?'],
    [
      ['port', '1'],
      'Cannot use "port": there is no such setting; did you mean --port?\nCannot use "1": there is no such setting; --help lists them',
    ],
    [['--prot', '1'], 'Cannot use "--prot": there is no such setting; did you mean --port?'],
    [['--zzz', '1'], 'Cannot use "--zzz": there is no such setting; --help lists them'],
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

describe('a misspelt setting', () => {
  /** Each name with one letter doubled, and with two neighbours swapped. */
  const misspellings = (name: string) =>
    [name.slice(0, 2) + name.slice(1), name.slice(0, 1) + name.charAt(2) + name.charAt(1) + name.slice(3)].filter(
      (wrong) => wrong !== name,
    );
  for (const { name } of Object.values(settings)) {
    test(`near ${name} is refused as a flag and in the environment, with the right name`, () => {
      for (const wrong of misspellings(name)) {
        // A short name with one more letter may be any word.
        if (name.length < 6 && wrong.length > name.length) continue;
        const flag = `--${wrong.toLowerCase().replaceAll('_', '-')}`;
        const right = `--${name.toLowerCase().replaceAll('_', '-')}`;
        assert.throws(() => loadConfig([flag, '1'], {}), {
          message: new RegExp(`"${flag}".*; did you mean ${right}\\?$`),
        });
        const message = `Cannot use ${wrong}: there is no such setting; did you mean ${name}?`;
        assert.throws(() => loadConfig([], { [wrong]: '1' }), { message });
        loadConfig([], { [wrong]: '' });
      }
      const prefixed = `CLAUDE_AGENT_SERVER_${name}`;
      const message = `Cannot use ${prefixed}: there is no such setting; did you mean ${name}?`;
      assert.throws(() => loadConfig([], { [prefixed]: '1' }), { message });
    });
  }

  test('is not suspected in the ordinary variables of shells, builds and services', () => {
    const ordinary = [
      ...[
        'PATH',
        'HOME',
        'HOSTNAME',
        'HOSTTYPE',
        'POST',
        'PORTS',
        'SORT',
        'ROLES',
        'MODE',
        'MODEL',
        'SHELL',
        'LOGNAME',
      ],
      ...['LOG_FILE', 'LOGLEVEL', 'API_KEY', 'API_URL', 'DATABASE_URI', 'DATABASE_NAME', 'DATADIR', 'DATA_PATH'],
      ...['AGENT_NAME', 'AGENT_ID', 'AGENT_OS', 'AGENT_WORKFOLDER', 'JOB_NAME', 'JOB_ID', 'JOB_URL', 'JOB_STATE'],
      ...['GIT_DIR', 'GIT_SSH', 'GIT_SSH_COMMAND', 'GIT_ASKPASS', 'WORKSPACE', 'WORK_DIR', 'CI', 'DEBUG', 'NODE_ENV'],
      ...['XDG_DATA_HOME', 'XDG_DATA_DIRS', 'XDG_CONFIG_DIRS', 'ANTHROPIC_API_KEY', 'ANTHROPIC_MODEL', 'CLAUDE_CODE'],
      ...[
        'KUBERNETES_PORT',
        'KUBERNETES_SERVICE_PORT',
        'SERVICE_PORT',
        'RUNNER_OS',
        'MAX_OLD_SPACE',
        'CORS_ORIGIN_URL',
      ],
      ...['TERM_PROGRAM', 'DISPLAY', 'LANG', 'LC_ALL', 'TZ', 'PWD', 'OLDPWD', 'USER', 'MAIL', 'EDITOR', 'PAGER', '_'],
    ];
    loadConfig([], Object.fromEntries(ordinary.map((name) => [name, '1'])));
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

/** What is removed from a text before a client reads it, and what stays. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { redact, redactValues } from '../src/redact.ts';
import { truncate } from '../src/truncate.ts';

/** By the name of the rule: a text that leaks without that rule, and what is left of it. */
const removed: [rule: string, text: string, left: string][] = [
  ['terminal colours', '\u001b[1;31mboom\u001b[0m', 'boom'],
  ['lines of a stack', 'boom\n    at run (app.js:1:2)\n\tat main', 'boom'],
  [
    'private key blocks',
    'x -----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\nDEK-Info: AB\n-----END OPENSSH PRIVATE KEY----- y',
    'x [key] y',
  ],
  ['private key blocks', '-----BEGIN PRIVATE KEY-----\nb3BlbnNza', '[key]'],
  ['sk-, pk- and rk- keys', 'used sk-ant-api03-abcdefghijkl here', 'used [key] here'],
  ['sk-, pk- and rk- keys', 'pk_live_abcdefgh rk-abcdefgh', '[key] [key]'],
  ['GitHub tokens', 'ghp_abcdef1 gho_abcdef1 ghu_abcdef1 ghs_abcdef1 ghr_abcdef1', '[key] [key] [key] [key] [key]'],
  ['GitHub fine-grained tokens', 'github_pat_11ABCDEFG0123456789_abc', '[key]'],
  ['GitLab tokens', 'glpat-abc_def-123', '[key]'],
  ['npm and Hugging Face tokens', 'npm_abcdefghijklmnop1 hf_abcdefghijklmnop1', '[key] [key]'],
  ['Slack tokens', 'xoxb-12-abcdef xoxe.x xapp-1-A012-34-abc xoxe-1-abcdef', '[key] xoxe.x [key] [key]'],
  ['AWS access key ids', 'AKIAIOSFODNN7EXAMPLE ASIAIOSFODNN7EXAMPLE', '[key] [key]'],
  ['Google API keys', 'AIzaSyA-0123456789abcdefghijklmnopqrstu', '[key]'],
  ['JSON web tokens', 'got eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl.', 'got [key].'],
  [
    'Authorization headers',
    'Authorization: Bearer abc-1234 and basic dXNlcjpwdw==',
    'Authorization: Bearer [key] and basic [key]',
  ],
  ['Authorization headers', 'bearer abcdefghijklmnopqrst', 'bearer [key]'],
  ['x-api-key headers', 'sent x-api-key a1b2c3d4', 'sent x-api-key [key]'],
  ['names that end in key', 'x-api-key: abc', 'x-api-key: [key]'],
  [
    'names that end in key',
    'ANTHROPIC_API_KEY=abc db_password = "a b c" {"token":"abc"}',
    'ANTHROPIC_API_KEY=[key] db_password = [key] {"token":[key]}',
  ],
  ['names that end in key', '{"token":"a\\"b c"} SECRET=\'a\\\'b c\'', '{"token":[key]} SECRET=[key]'],
  [
    'URL credentials',
    'https://user:pass@host.org/x and ssh://git@host',
    'https://[key]@host.org/x and ssh://[key]@host',
  ],
  ['URL credentials', 'postgres://user:p@ss?w#d@host/db', 'postgres://[key]@host/db'],
  ['URL queries', "cannot get 'https://host.org/a/b?code=1&x=2#y': 403", "cannot get 'https://host.org/a/b': 403"],
  ['file URLs', 'in file:///srv/app', 'in [path]'],
  ['quoted paths', "cannot open '/srv/my secret/file' now", "cannot open '[path]' now"],
  ['quoted paths', 'cannot open "~/my secret/file" now', 'cannot open "[path]" now'],
  [
    'paths',
    'in /srv/app/x.js:1 and (~/.ssh/id) and dir=/a/b, ~ada/x',
    'in [path]:1 and ([path]) and dir=[path], [path]',
  ],
  ['paths', 'ENOENT:/srv/übung/x done./srv/a/b', 'ENOENT:[path] done.[path]'],
  ['Windows paths', 'in C:\\Users\\ada\\x.js', 'in [path]'],
];

const innocent = [
  'Credit balance is too low',
  'Not logged in · Please run /login',
  'invalid x-api-key · Please run /login',
  'invalid x-api-key provided by the caller',
  'basic authentication failed, use bearer tokens',
  'max_tokens: 32000 and/or 1/2/3',
  'see https://docs.claude.com/en/docs/errors for the task-management of risk-free things',
  'src/agents/agent.ts and ./src/app.ts and ../lib/x.ts changed',
  'npm_config_registry and hf_hub_download_timeout are set',
  'git@github.com:team/project.git: Permission denied (publickey).',
  'Host key verification failed.',
  "pathspec 'feature/x' did not match any file(s)",
  'The model claude-sonnet-4-5 said “no” at 10:45',
  'ASIAPACIFIC eyJson xoxo-hugs ghp_ AIza',
  'look at the file',
];

describe('removed from a text', () => {
  for (const [rule, text, left] of removed) {
    test(`${rule}: ${JSON.stringify(text).slice(0, 60)}`, () => assert.equal(redact(text), left));
  }
});

test('paths are shown by their last part where file names are wanted', () => {
  for (const [text, left] of [
    ["'/srv/my secret/x.git' is missing", "'x.git' is missing"],
    ['in file /srv/a/config', 'in file config'],
    ['file:///srv/a/b/ and C:\\Users\\ada\\x.js', 'b and x.js'],
  ] as const) {
    assert.equal(redact(text, { fileNames: true }), left);
  }
});

describe('left in a text', () => {
  for (const text of innocent) test(text.slice(0, 60), () => assert.equal(redact(text), text));
});

describe('registered values', () => {
  test('are removed until they are given up, the longer of two first', () => {
    const forget = redactValues(['correct horse', 'correct horse battery']);
    assert.equal(redact('a correct horse battery, a correct horse'), 'a [key], a [key]');
    forget();
    assert.equal(redact('a correct horse'), 'a correct horse');
  });

  test('stay registered while a second owner has not given them up', () => {
    const [first, second] = [redactValues(['correct horse']), redactValues(['correct horse'])];
    first();
    assert.equal(redact('a correct horse'), 'a [key]');
    second();
  });

  test('of fewer than 8 characters are not removed, since they occur in words', () => {
    const forget = redactValues(['', 'model', 'the']);
    assert.equal(redact('the model'), 'the model');
    forget();
  });
});

describe('the length of a text', () => {
  test('is that of one line, cut to the limit at a code point', () => {
    assert.equal(redact('one\n\n  two\tthree '), 'one two three');
    assert.equal(redact('abcdef', { maxLength: 4 }), 'abc…');
    assert.equal(redact('ab😀def', { maxLength: 4 }), 'ab…');
    assert.equal(redact('x'.repeat(10_000)).length, 500);
  });

  test('does not matter to a secret at the end of the examined part: no half of it stays', () => {
    const secret = 'correct-horse-battery-staple-correct-horse';
    const forget = redactValues([secret]);
    for (const before of [8160, 8180, 8191]) {
      const text = `start${' '.repeat(before - 5)}${secret} and more`;
      assert.equal(redact(text), 'start …', `${before} characters before`);
    }
    forget();
  });

  test('is cut at a code point also where a long text is examined in part', () => {
    const text = redact(`${' '.repeat(7001)}${'😀'.repeat(4000)}`, { maxLength: 10_000 });
    assert.ok(text.isWellFormed());
    assert.ok(text.endsWith('…'));
  });
});

test('a text is cut only when it is longer than the limit', () => {
  assert.equal(truncate('abc', 3), 'abc');
  assert.equal(truncate('abcd', 3), 'ab…');
  assert.equal(truncate('a😀', 3), 'a😀');
  assert.equal(truncate('a😀b', 3), 'a…');
});

/** What an agent gets from its repository: the instructions and the agent definitions, and nothing from outside. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readDefinition, readDefinitions } from '../../src/agents/project/definitions.ts';
import { readFrontMatter } from '../../src/agents/project/front-matter.ts';
import { importsIn } from '../../src/agents/project/imports.ts';
import { readInstructions } from '../../src/agents/project/instructions.ts';
import { listFiles } from '../../src/agents/project/repository-files.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';
import { write } from '../support/git-repositories.ts';

describe('imports in instructions', () => {
  for (const [text, expected] of [
    ['See @docs/a.md for more', ['docs/a.md']],
    ['@a.md\n- @b.md', ['a.md', 'b.md']],
    ['@with\\ space.md', ['with space.md']],
    ['@a.md#section', ['a.md']],
    ['mail ada@example.org', []],
    ['@~/secret.md', []],
    ['`@code.md` and ``@more`.md``', []],
    ['```\n@block.md\n```\n@after.md', ['after.md']],
    ['~~~ts\n@block.md\n~~~', []],
    ['```\n@never-closed.md', []],
    ['nothing', []],
    ['`open @a.md and ``@b.md`` after', ['a.md']],
    ['a `b` @c.md `d`', ['c.md']],
    ['```\n~~~\n@a.md\n```\n@b.md', ['b.md']],
    ['````\n```\n@a.md\n````\n@b.md', ['b.md']],
    [`${'`'.repeat(200_000)}@a.md`, []],
    [`${'`'.repeat(3)}\n${'` `` '.repeat(40_000)}`, []],
    [`${'` `` ``` '.repeat(20_000)} @a.md`, ['a.md']],
    [`${'@'.repeat(200_000)}`, ['@'.repeat(199_999)]],
  ] as const) {
    test(JSON.stringify(text).slice(0, 60), () => assert.deepEqual(importsIn(text), expected));
  }
});

describe('instructions', () => {
  test('are those of the folder and of all folders above it, with their imports', async (t) => {
    const root = await scratchFolder(t);
    write(root, {
      'CLAUDE.md': 'TOP @common/style.md',
      'common/style.md': 'STYLE @deep.md',
      'common/deep.md': 'DEEP @style.md',
      '.claude/rules/one.md': 'RULE',
      'part/.claude/CLAUDE.md': 'PART @/etc/passwd @../../outside.md @../../.git/config',
      '.git/config': 'GIT-SETTINGS',
      'other/CLAUDE.md': 'OTHER',
    });
    const text = (await readInstructions(root, join(root, 'part'))) ?? '';
    const order = ['TOP', 'STYLE', 'DEEP', 'RULE', 'PART'].map((word) => text.indexOf(word));
    assert.ok(
      order.every((at, index) => at > (order[index - 1] ?? 0)),
      text,
    );
    assert.doesNotMatch(text, /OTHER|root:|GIT-SETTINGS/);
  });

  test('are undefined where there are no files', async (t) => {
    const root = await scratchFolder(t);
    assert.equal(await readInstructions(root, root), undefined);
    assert.equal(await readInstructions(join(root, 'missing'), join(root, 'missing')), undefined);
  });

  test('are read from regular files only, so that no pipe is waited for', async (t) => {
    const root = await scratchFolder(t);
    execFileSync('mkfifo', [join(root, 'CLAUDE.md')]);
    mkdirSync(join(root, '.claude', 'CLAUDE.md'), { recursive: true });
    write(root, { 'CLAUDE.local.md': 'LOCAL @/dev/zero @binary', binary: 'a\0b' });
    const text = (await readInstructions(root, root)) ?? '';
    assert.match(text, /LOCAL/);
    assert.doesNotMatch(text, /binary\n/);
  });

  test('end at a bound, and say so', async (t) => {
    const root = await scratchFolder(t);
    write(root, { 'CLAUDE.md': `${'x'.repeat(300_000)}` });
    const text = (await readInstructions(root, root)) ?? '';
    assert.ok(text.length < 201_000);
    assert.match(text, /left out: the instructions are over 200000 characters/);
  });
});

describe('a front matter', () => {
  for (const [head, expected] of [
    ['a: plain text', { a: 'plain text' }],
    ['a: "quoted: \\"text\\" # no comment"', { a: 'quoted: "text" # no comment' }],
    ["a: 'it''s'", { a: "it's" }],
    ['a: text # a comment', { a: 'text' }],
    ['a: |\n  one\n\n  two\nb: x', { a: 'one\n\ntwo', b: 'x' }],
    ['a: >-\n  one\n  two', { a: 'one two' }],
    ['a: text\n  that goes on', { a: 'text that goes on' }],
    ['a: [Read, "Grep", \'Bash(git *)\']', { a: ['Read', 'Grep', 'Bash(git *)'] }],
    ['a:\n  - Read\n  - Grep\nb:\n- x', { a: ['Read', 'Grep'], b: ['x'] }],
    ['hooks:\n  PreToolUse:\n    x: y\na: z', { hooks: '', a: 'z' }],
    ['__proto__: x\na-b: c', { 'a-b': 'c' }],
    ['no field\na: x', { a: 'x' }],
  ] as const) {
    test(JSON.stringify(head), () => {
      assert.deepEqual({ ...readFrontMatter(`---\n${head}\n---\nbody\n`)?.fields }, expected);
    });
  }
});

describe('agent definitions', () => {
  test('have the fields that describe an agent, and none that configures the host', () => {
    const head = [
      'name: reviewer',
      'description: Reviews code.',
      'tools: Read, Grep',
      'disallowedTools: [Bash]',
      'model: haiku',
      'permissionMode: bypassPermissions',
      'hooks: {PreToolUse: [{hooks: [{type: command, command: evil}]}]}',
      'mcpServers: {evil: {command: evil}}',
    ].join('\n');
    assert.deepEqual(readDefinition(`---\n${head}\n---\nYou review.\n`), {
      name: 'reviewer',
      definition: {
        description: 'Reviews code.',
        prompt: 'You review.',
        tools: ['Read', 'Grep'],
        disallowedTools: ['Bash'],
        model: 'haiku',
      },
    });
  });

  for (const [what, text] of [
    ['no front matter', 'You review.'],
    ['no name', '---\ndescription: x\n---\n'],
    ['no description', '---\nname: x\n---\nbody'],
    ['an empty description', '---\nname: x\ndescription: ""\n---\nbody'],
    ['an empty prompt', '---\nname: x\ndescription: x\n---\n \n'],
    ['a name that would be a flag', '---\nname: --dangerous\ndescription: x\n---\n'],
    ['a list for a name', '---\nname: [a, b]\ndescription: x\n---\n'],
    ['a front matter that does not end', '---\nname: x\ndescription: x\n'],
    ['keys within keys', `---\n${'? '.repeat(9000)}\n---\n`],
    ['lists within lists', `---\n${'- '.repeat(9000)}\n---\n`],
    ['a list', '---\n- a\n---\n'],
    ['a front matter that is too long', `---\nname: x\ndescription: ${'x'.repeat(25_000)}\n---\n`],
    ['many dashes', '---\n'.repeat(50_000)],
  ] as const) {
    test(`are left out with ${what}`, () => assert.equal(readDefinition(text), undefined));
  }

  test('are not searched for through a link out of the repository, nor in circles of links', async (t) => {
    const root = await scratchFolder(t);
    mkdirSync(join(root, '.claude'));
    symlinkSync('/usr', join(root, '.claude/agents'));
    assert.deepEqual(await listFiles(root, join(root, '.claude/agents'), ''), []);
    const circle = await scratchFolder(t);
    write(circle, { '.claude/agents/own.md': '---\nname: own\ndescription: x\n---\nPROMPT\n' });
    for (const name of ['a', 'b']) symlinkSync('.', join(circle, '.claude/agents', name));
    assert.deepEqual(Object.keys(await readDefinitions(circle, circle)), ['own']);
  });

  test('are taken up to a bound of files', async (t) => {
    const root = await scratchFolder(t);
    const names = Array.from({ length: 150 }, (_, at) => `agent-${at}`);
    const files = names.map((name) => [`.claude/agents/${name}.md`, `---\nname: ${name}\ndescription: x\n---\nPROMPT`]);
    write(root, Object.fromEntries(files));
    assert.equal(Object.keys(await readDefinitions(root, root)).length, 100);
  });

  test('are not read through links that lead out of the repository', async (t) => {
    const root = await scratchFolder(t);
    const outside = await scratchFolder(t);
    const definition = '---\nname: planted\ndescription: x\n---\nSECRET';
    write(outside, { 'planted.md': definition });
    write(root, { '.claude/agents/own.md': definition.replace('planted', 'own') });
    symlinkSync(join(outside, 'planted.md'), join(root, '.claude/agents/planted.md'));
    assert.deepEqual(Object.keys(await readDefinitions(root, root)), ['own']);
  });
});

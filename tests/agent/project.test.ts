/** What of a repository is handed to an agent: its instructions and its agent definitions, and nothing from outside. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readDefinition, readDefinitions } from '../../src/agent/definitions.ts';
import { importsIn, readInstructions } from '../../src/agent/instructions.ts';
import { write } from '../support/git-repositories.ts';
import { scratchFolder } from '../support/loopback-agent.ts';

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
  ] as const) {
    test(JSON.stringify(text), () => assert.deepEqual(importsIn(text), expected));
  }
});

describe('instructions', () => {
  test('are those of the folder and of all folders above it, with what they import', async (t) => {
    const root = await scratchFolder(t);
    write(root, {
      'CLAUDE.md': 'TOP @shared/style.md',
      'shared/style.md': 'STYLE @deep.md',
      'shared/deep.md': 'DEEP @style.md',
      '.claude/rules/one.md': 'RULE',
      'part/.claude/CLAUDE.md': 'PART @/etc/passwd @../../outside.md',
      'other/CLAUDE.md': 'OTHER',
    });
    const text = (await readInstructions(root, join(root, 'part'))) ?? '';
    const order = ['TOP', 'STYLE', 'DEEP', 'RULE', 'PART'].map((word) => text.indexOf(word));
    assert.ok(
      order.every((at, index) => at > (order[index - 1] ?? 0)),
      text,
    );
    assert.doesNotMatch(text, /OTHER|root:/);
  });

  test('are none where there are none', async (t) => {
    const root = await scratchFolder(t);
    assert.equal(await readInstructions(root, root), undefined);
    assert.equal(await readInstructions(join(root, 'missing'), join(root, 'missing')), undefined);
  });

  test('are read from regular files only, and not waited for', async (t) => {
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

describe('agent definitions', () => {
  test('hold what describes an agent, and none of what would configure the host', async () => {
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
    assert.deepEqual(await readDefinition(`---\n${head}\n---\nYou review.\n`), {
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
    ['no description', '---\nname: x\n---\n'],
    ['a name that would be a flag', '---\nname: --dangerous\ndescription: x\n---\n'],
    ['broken YAML', '---\nname: [\n---\n'],
    ['aliases that grow', '---\na: &a [x,x]\nb: &b [*a,*a]\nname: x\ndescription: x\n---\n'],
    ['a list', '---\n- a\n---\n'],
  ] as const) {
    test(`are left out with ${what}`, async () => assert.equal(await readDefinition(text), undefined));
  }

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

/** The structure, held by a test: who may import whom, and how large a file may grow. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const src = join(root, 'src');

/** A part is a file or a folder of `src`, or a folder in one of the large ones. `type:` allows only `import type`. */
const mayImport: Record<string, string[]> = {
  admission: ['errors', 'type:releases', 'type:task'],
  agents: [
    'agents/project',
    'agents/protocol',
    'agents/sandbox',
    'errors',
    'processes',
    'redact',
    'type:config',
    'type:task',
    'type:telemetry',
    'waits',
  ],
  'agents/pool': ['releases', 'type:agents', 'type:task', 'type:workspaces', 'waits'],
  'agents/project': ['agents/sandbox', 'truncate', 'type:agents'],
  'agents/protocol': ['truncate', 'type:task'],
  'agents/sandbox': ['processes', 'type:agents'],
  api: [
    'api/jobs',
    'api/native',
    'api/openai-chat',
    'errors',
    'http',
    'nearest',
    'runs',
    'truncate',
    'type:jobs',
    'type:task',
    'waits',
  ],
  'api/jobs': ['api', 'errors', 'http', 'jobs', 'truncate', 'type:store', 'type:task', 'waits', 'webhooks'],
  'api/native': ['api/openai-chat', 'errors', 'redact', 'type:api', 'type:task'],
  'api/openai-chat': ['api', 'api/schemas', 'errors', 'http', 'runs', 'truncate', 'type:task'],
  'api/schemas': ['errors', 'http', 'truncate', 'type:task'],
  cli: [
    'agents',
    'agents/sandbox',
    'cli/jobs',
    'config',
    'fake-model',
    'http',
    'nearest',
    'releases',
    'service',
    'version',
    'waits',
    'workspaces',
  ],
  'cli/jobs': ['config', 'nearest', 'truncate', 'type:api/jobs', 'type:cli', 'waits'],
  config: ['nearest'],
  errors: ['type:task'],
  'fake-model': ['truncate', 'type:config'],
  http: ['errors', 'nearest', 'truncate', 'type:releases', 'type:task'],
  jobs: [
    'errors',
    'runs',
    'store',
    'truncate',
    'type:admission',
    'type:config',
    'type:releases',
    'type:task',
    'type:telemetry',
    'type:workspaces',
    'waits',
    'webhooks',
  ],
  main: ['cli'],
  nearest: [],
  processes: ['waits'],
  redact: ['truncate'],
  releases: [],
  runs: ['errors', 'releases', 'store', 'truncate', 'type:agents/pool', 'type:task', 'type:workspaces', 'waits'],
  service: [
    'admission',
    'agents',
    'agents/pool',
    'api',
    'api/jobs',
    'api/schemas',
    'config',
    'errors',
    'http',
    'jobs',
    'processes',
    'redact',
    'releases',
    'runs',
    'store',
    'telemetry',
    'type:agents/sandbox',
    'version',
    'waits',
    'workspaces',
  ],
  store: ['admission', 'errors', 'truncate', 'type:task', 'waits'],
  task: [],
  telemetry: ['redact', 'type:agents/sandbox', 'type:errors', 'type:http', 'type:store', 'type:task'],
  truncate: [],
  version: [],
  waits: [],
  webhooks: ['config', 'type:store', 'type:task'],
  workspaces: [
    'errors',
    'processes',
    'type:task',
    'workspaces/changes',
    'workspaces/git',
    'workspaces/shared',
    'workspaces/worktrees',
  ],
  'workspaces/changes': ['processes', 'redact', 'truncate', 'type:task', 'workspaces/git'],
  'workspaces/git': ['errors', 'processes', 'redact', 'truncate'],
  'workspaces/shared': ['processes', 'truncate', 'type:task', 'workspaces', 'workspaces/changes', 'workspaces/git'],
  'workspaces/worktrees': ['processes', 'type:task', 'workspaces', 'workspaces/changes', 'workspaces/git'],
};

/** Modules of Node that one file only may use, and words that one file only may hold. */
const confined: { what: RegExp; only: string[]; why: string }[] = [
  { what: /from 'node:child_process'/, only: ['processes/child-process.ts'], why: 'processes start in one place' },
  { what: /\bprocess\.env\b/, only: ['config/config.ts'], why: 'the environment is read in one place' },
  { what: /\bprocess\.(exit|exitCode|on)\b/, only: ['main.ts'], why: 'exit and signals belong to the process' },
];

type SourceFile = { name: string; text: string };

const files = sourceFiles('src');
const everyFile = [...files, ...['bench', 'scripts', 'tests'].flatMap(sourceFiles)];

/** Names are relative to the folder. */
function sourceFiles(folder: string): SourceFile[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({ name: name.split(sep).join('/'), text: readFileSync(join(root, folder, name), 'utf8') }));
}

const large = ['agents', 'api', 'cli', 'workspaces'];

function partOf(file: string): string {
  const [folder = '', inner, deeper] = file.split('/');
  if (inner === undefined) return folder.replace(/\.ts$/, '');
  return deeper !== undefined && large.includes(folder) ? `${folder}/${inner}` : folder;
}

function importsOf(file: SourceFile): { part: string; typeOnly: boolean }[] {
  return targetsOf(file).map(({ target, typeOnly }) => ({ part: partOf(target), typeOnly }));
}

/** The files of `src` that a file imports. */
function targetsOf(file: SourceFile): { target: string; typeOnly: boolean }[] {
  const pattern = /^(?:import|export)\s+(type\s)?[^;]*?from\s+'(\.[^']+)';/gms;
  return [...file.text.matchAll(pattern)].map(([, typeOnly, path = '']) => ({
    target: relative(src, join(dirname(join(src, file.name)), path))
      .split(sep)
      .join('/'),
    typeOnly: typeOnly !== undefined,
  }));
}

test('every part imports only what it may', () => {
  const forbidden = files.flatMap((file) => {
    const from = partOf(file.name);
    return importsOf(file)
      .filter(({ part }) => part !== from)
      .filter(({ part, typeOnly }) => {
        const allowed = mayImport[from] ?? [];
        return !allowed.includes(part) && !(typeOnly && allowed.includes(`type:${part}`));
      })
      .map(({ part, typeOnly }) => `${file.name} imports ${typeOnly ? 'types of ' : ''}${part}`);
  });
  assert.deepEqual(forbidden, []);
});

test('no permission to import is unused', () => {
  const unused = Object.entries(mayImport).flatMap(([from, allowed]) => {
    const used = files.filter((file) => partOf(file.name) === from).flatMap(importsOf);
    return allowed
      .filter((permission) => {
        const typeOnly = permission.startsWith('type:');
        const part = permission.replace('type:', '');
        return !used.some((found) => found.part === part && (typeOnly ? found.typeOnly : !found.typeOnly));
      })
      .map((permission) => `${from} need not import ${permission}`);
  });
  assert.deepEqual(unused, []);
});

test('what belongs in one file is in no other', () => {
  const strays = confined.flatMap(({ what, only, why }) =>
    files.filter((file) => what.test(file.text) && !only.includes(file.name)).map((file) => `${file.name}: ${why}`),
  );
  assert.deepEqual(strays, []);
});

test('no files import each other in a circle, not even types', () => {
  assert.deepEqual(circles(), []);
});

/** Words of one API, and the only folders that may know them. The fake model has an API of its own. */
const apiWords: { what: RegExp; only: RegExp }[] = [
  {
    what: /chatcmpl|chat\.completion|finish_reason|reasoning_content|tool_calls|response_format|prompt_tokens|\[DONE\]/,
    only: /^(api\/(openai-chat|native)|fake-model)\//,
  },
  {
    what: /invalid_request_error|overloaded_error|execution failed/,
    only: /^(api\/(openai-chat|native)|fake-model)\//,
  },
  {
    what: /\b(max_budget_usd|timeout_seconds|next_cursor|expected_wait_seconds)\b/,
    only: /^(api|cli)\/jobs\/|^agents\/protocol\//,
  },
];

test('nothing outside an API knows its words', () => {
  const strays = apiWords.flatMap(({ what, only }) =>
    files
      .filter(({ name, text }) => !only.test(name) && what.test(withoutComments(text)))
      .map(({ name, text }) => `${name}: ${what.exec(withoutComments(text))?.[0]}`),
  );
  assert.deepEqual(strays, []);
});

test('every function of an exported type is called somewhere in src', () => {
  const all = files.map(({ text }) => withoutComments(text)).join('\n');
  const dead = files.flatMap(({ name, text }) =>
    functionsOf(text)
      .filter(({ member }) => !isCalled(member, all))
      .map(({ type, member }) => `${name}: ${type}.${member}`),
  );
  assert.deepEqual(dead, []);
});

test('no file is longer than 300 lines', () => {
  const long = everyFile
    .map(({ name, text }) => ({ name, lines: text.split('\n').length }))
    .filter(({ lines }) => lines > 301);
  assert.deepEqual(long, []);
});

test('every file begins by saying what it is', () => {
  const silent = everyFile.filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text)).map(({ name }) => name);
  assert.deepEqual(silent, []);
});

function circles(): string[][] {
  const imports = new Map(files.map((file) => [file.name, targetsOf(file).map(({ target }) => target)] as const));
  /** Files that can be reached from a file. */
  const reached = (from: string): Set<string> => {
    const seen = new Set<string>();
    const left = [...(imports.get(from) ?? [])];
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      left.push(...(imports.get(next) ?? []));
    }
    return seen;
  };
  const from = new Map([...imports.keys()].map((name) => [name, reached(name)]));
  return [...from]
    .filter(([name, seen]) => seen.has(name))
    .map(([name, seen]) => [name, ...[...seen].filter((other) => from.get(other)?.has(name) && other !== name)]);
}

/** Reached through a dot, or taken out of an object. Of two members with one name, a call of either counts for both. */
function isCalled(member: string, all: string): boolean {
  return new RegExp(`[.]${member}\\b|\\{[^{}()]*\\b${member}\\b[^{}()]*\\}(?=:|\\)|,| =(?!>))`).test(all);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}

/** Members with a call signature in the exported object types of a file. */
function functionsOf(text: string): { type: string; member: string }[] {
  const types = [...withoutComments(text).matchAll(/^export type (\w+)[^=\n]* = (?:\w+ & )?\{\n([\s\S]*?)^\}/gm)];
  return types.flatMap(([, type = '', body = '']) =>
    [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??(?:\(|: \()/gm)].map(([, member = '']) => ({ type, member })),
  );
}

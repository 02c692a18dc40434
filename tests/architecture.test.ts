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
  agent: [],
  agents: [
    'agents/project',
    'agents/protocol',
    'agents/sandbox',
    'errors',
    'processes',
    'redact',
    'waits',
    'type:config',
    'type:task',
    'type:telemetry',
  ],
  'agents/pool': ['releases', 'type:agents', 'type:task', 'type:workspaces', 'waits'],
  'agents/project': ['agents/sandbox', 'type:agents'],
  'agents/protocol': ['type:task'],
  'agents/sandbox': ['processes', 'type:agents'],
  api: ['api/native', 'api/openai-chat', 'errors', 'http', 'redact', 'runs', 'type:task'],
  'api/jobs': ['api', 'errors', 'http', 'type:jobs', 'type:store', 'type:task'],
  'api/native': ['api', 'api/openai-chat', 'type:task'],
  'api/openai-chat': ['api', 'api/schemas', 'errors', 'http', 'type:task'],
  'api/schemas': ['errors', 'http', 'type:task'],
  cli: ['agents', 'agents/sandbox', 'cli/jobs', 'config', 'fake-model', 'releases', 'service', 'workspaces'],
  'cli/jobs': ['config', 'type:api/jobs', 'type:cli'],
  commands: [],
  config: [],
  errors: ['type:task'],
  'fake-model': ['type:config'],
  http: ['api', 'api/jobs', 'api/openai-chat', 'errors', 'runs', 'type:jobs', 'type:task'],
  jobs: [
    'admission',
    'errors',
    'runs',
    'store',
    'type:config',
    'type:task',
    'type:telemetry',
    'type:workspaces',
    'webhooks',
  ],
  'loopback-model': [],
  main: ['cli'],
  openai: [],
  processes: ['waits'],
  queue: [],
  redact: ['truncate'],
  releases: [],
  runs: [
    'api',
    'errors',
    'releases',
    'store',
    'type:admission',
    'type:agents/pool',
    'type:api/openai-chat',
    'type:task',
    'type:workspaces',
  ],
  schemas: [],
  service: [
    'admission',
    'agents',
    'agents/pool',
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
    'waits',
    'store',
    'telemetry',
    'type:agents/sandbox',
    'type:task',
    'workspaces',
  ],
  settings: [],
  waits: [],
  store: ['admission', 'errors', 'type:task'],
  task: [],
  telemetry: ['type:agents/pool', 'type:agents/sandbox', 'type:errors', 'type:http', 'type:store', 'type:task'],
  truncate: [],
  webhooks: ['config', 'type:store', 'type:task'],
  workspace: [],
  workspaces: ['errors', 'processes', 'redact', 'type:task'],
};

/** Modules of Node that one file only may use, and words that one file only may hold. */
const confined: { what: RegExp; only: string[]; why: string }[] = [
  { what: /from 'node:child_process'/, only: ['processes/child-process.ts'], why: 'processes start in one place' },
  { what: /\bprocess\.kill\b/, only: ['processes/signals.ts'], why: 'signals are sent in one place' },
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
  const pattern = /^(?:import|export)\s+(type\s)?[^;]*?from\s+'(\.[^']+)';/gms;
  return [...file.text.matchAll(pattern)].map(([, typeOnly, path = '']) => ({
    part: partOf(
      relative(src, join(dirname(join(src, file.name)), path))
        .split(sep)
        .join('/'),
    ),
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

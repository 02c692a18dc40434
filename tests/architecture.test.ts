/** The structure that DESIGN decided, held by a test: who may import whom, and how large a file may grow. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const src = join(root, 'src');

/** A part is a folder of `src`, or a file at its top. `type:` allows only `import type`. */
const mayImport: Record<string, string[]> = {
  main: ['commands'],
  commands: [
    'config',
    'api-key',
    'type:http',
    'service',
    'releases',
    'agent-stage',
    'agent',
    'workspace',
    'loopback-model',
  ],
  service: [
    'settled-within',
    'type:config',
    'errors',
    'type:task',
    'telemetry',
    'releases',
    'run-task',
    'run-job',
    'job-stage',
    'run-anywhere',
    'http',
    'schemas',
    'queue',
    'workspace',
    'type:agent',
    'warm',
    'agent-stage',
    'api-key',
    'leftovers',
  ],
  http: ['openai', 'errors', 'json-bounds', 'type:task', 'type:run-task', 'type:queue'],
  'run-task': ['releases', 'type:task', 'type:queue', 'type:workspace', 'type:warm'],
  'run-job': ['queue', 'type:run-task', 'type:task', 'type:workspace'],
  'run-anywhere': ['errors', 'type:task', 'type:queue', 'type:run-task'],
  'agent-stage': ['agent', 'remove-folder', 'type:config', 'type:telemetry'],
  'job-stage': ['callback-root', 'queue', 'type:config', 'type:task', 'type:telemetry'],
  'callback-root': ['kept-secret', 'settings', 'type:config', 'type:queue'],
  warm: ['releases', 'type:task', 'type:workspace', 'type:agent'],
  queue: ['errors', 'type:task', 'type:releases'],
  workspace: ['child-process', 'remove-folder', 'errors', 'type:task'],
  agent: ['child-process', 'end-process', 'process-tree', 'remove-folder', 'settled-within', 'errors', 'type:task'],
  schemas: ['errors', 'type:task'],
  openai: ['errors', 'json-bounds', 'type:task'],
  'loopback-model': ['type:config'],
  config: ['settings'],
  settings: [],
  telemetry: ['type:agent', 'type:errors', 'type:task', 'type:http', 'type:queue'],
  'end-process': ['child-process', 'process-tree', 'settled-within'],
  'settled-within': [],
  'process-tree': ['child-process'],
  leftovers: ['process-tree'],
  'api-key': ['kept-secret'],
  'kept-secret': [],
  'child-process': [],
  'remove-folder': ['child-process'],
  releases: [],
  'json-bounds': [],
  errors: ['type:task'],
  task: [],
};

/** Modules of Node that one file only may use, and words that one file only may hold. */
const confined: { what: RegExp; only: string[]; why: string }[] = [
  { what: /from 'node:child_process'/, only: ['child-process.ts'], why: 'processes start in one place' },
  { what: /\bprocess\.env\b/, only: ['config.ts'], why: 'the environment is read in one place' },
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

function partOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : file.replace(/\.ts$/, '');
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

/**
 * Checks with random repositories and random edits that the work of a run is collected byte for byte. Every number is
 * one run, and a number always gives the same run.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { createWorkspaces } from '../../src/workspaces/create.ts';
import type { WorkspaceLease, Workspaces } from '../../src/workspaces/workspaces.ts';
import { differences, readTree } from './compare-trees.ts';
import { git, gitEnvironment, makeSandbox, type Sandbox } from './git-repositories.ts';
import { seededRandom } from './random.ts';
import { addSpecialFile, type Edited, editAtRandom, put, useGitAtRandom } from './random-edits.ts';
import {
  randomAttributes,
  randomContent,
  randomIgnored,
  randomLinkTarget,
  randomPath,
  randomPointer,
} from './random-files.ts';

/** A repository serves this many runs. */
export const runsPerRepository = 50;
/**
 * This many runs share a worktree, and each has a folder of it. Their work is collected, applied and compared together,
 * because nearly all of the time is spent on starting git.
 */
const runsPerWorktree = 50;

/** `problems` are sentences for people. `named` are the reasons with which the record names files. */
export type Checked = { number: number; problems: string[]; named: string[]; delivered: boolean };

/** @param numbers runs of one repository: they have the same quotient by `runsPerRepository` */
export async function checkRuns(numbers: number[]): Promise<Checked[]> {
  const sandbox = makeSandbox();
  try {
    const clone = makeRepository(sandbox, Math.floor((numbers[0] ?? 0) / runsPerRepository));
    const workspaces = await createWorkspaces({
      workspaceDir: clone,
      workspaceMode: 'worktree',
      gitSync: 'off',
      gitSyncTimeoutMs: 20_000,
      syncFreshMs: 600_000,
      preparedWorktrees: 0,
      dataDir: sandbox.dataDir,
      environment: gitEnvironment,
    });
    const together = Map.groupBy(numbers, (number) => Math.floor(number / runsPerWorktree));
    const checked: Checked[] = [];
    for (const each of together.values()) checked.push(...(await checkTogether(workspaces, clone, each)));
    await workspaces.close();
    return checked;
  } finally {
    sandbox.remove();
  }
}

const folderOf = (number: number) => `run-${number % runsPerWorktree}`;

function makeRepository(sandbox: Sandbox, seed: number): string {
  const clone = join(sandbox.folder, 'clone');
  mkdirSync(clone);
  git(clone, 'init', '-q', '-b', 'main');
  const submodules: string[] = [];
  for (let number = 0; number < runsPerWorktree; number += 1) {
    const random = seededRandom(seed * runsPerWorktree + number);
    makeFiles({ folder: join(clone, folderOf(number)), random });
    if (random.number(3) === 0) submodules.push(`${folderOf(number)}/sub`);
  }
  const declared = submodules.map((path) => `[submodule "${path}"]\n\tpath = ${path}\n\turl = ../x\n`).join('');
  put({ folder: clone, random: seededRandom(seed) }, Buffer.from('.gitmodules'), Buffer.from(declared));
  spawnSync('git', ['add', '--all'], { cwd: clone, env: gitEnvironment });
  // These come later, so git has not converted the files as they say.
  for (let number = 0; number < runsPerWorktree; number += 3) {
    const edited = { folder: join(clone, folderOf(number)), random: seededRandom(seed + number) };
    put(edited, Buffer.from('.gitattributes'), randomAttributes(edited.random));
    spawnSync('git', ['add', '--', `${folderOf(number)}/.gitattributes`], { cwd: clone, env: gitEnvironment });
  }
  const entries = submodules.flatMap((path) => ['--cacheinfo', `160000,${'1'.repeat(40)},${path}`]);
  git(clone, 'update-index', '--add', ...entries);
  git(clone, 'commit', '-q', '-m', 'first');
  git(sandbox.folder, 'init', '-q', '--bare', 'remote.git');
  git(clone, 'remote', 'add', 'origin', join(sandbox.folder, 'remote.git'));
  return clone;
}

function makeFiles(edited: Edited): void {
  const { random, folder } = edited;
  put(edited, Buffer.from('a.txt'), Buffer.from('one\ntwo\nthree\n'.repeat(random.pick([1, 10]))));
  for (let count = random.pick([1, 2, 4]); count > 0; count -= 1) {
    try {
      if (random.number(8) === 0) symlinkSync(randomLinkTarget(random), join(folder, `link${count}`));
      else put(edited, randomPath(random), random.number(8) === 0 ? randomPointer(random) : randomContent(random));
    } catch {
      // Another file is in the way.
    }
  }
  if (random.number(3) === 0) put(edited, Buffer.from('.gitattributes'), randomAttributes(random));
  if (random.number(3) === 0) put(edited, Buffer.from('.gitignore'), randomIgnored(random));
}

async function checkTogether(workspaces: Workspaces, clone: string, numbers: number[]): Promise<Checked[]> {
  const [first = 0] = numbers;
  const run = await workspaces.lease(`run-${first}`, new AbortController().signal);
  editAll(run.path, numbers);
  // Only root can read files without permissions. The server makes them readable.
  const before = process.getuid?.() === 0 ? readTree(run.path) : undefined;
  const changes = await run.collect();
  const made = before ?? readTree(run.path);
  const copy = join(clone, '..', `copy-${first}`);
  const applied = applyPatch(clone, copy, changes.patch);
  const shared = applied.failed ? [`the patch cannot be applied: ${applied.failed}`] : [];
  if (changes.patch?.includes('\0')) shared.push('the patch holds a NUL');
  const delivered = first % 3 === 0 && (await deliver(run, clone, first, applied.tree, shared));
  const after = readTree(copy);
  for (const path of made.keys()) if (applied.submodules.some((each) => path.startsWith(`${each}/`))) made.delete(path);
  const omitted = changes.omitted ?? [];
  const different = differences(
    made,
    after,
    omitted.map(({ path }) => path),
  );
  await run.release();
  await workspaces.forgetPatch(`run-${first}`);
  rmSync(copy, { recursive: true, force: true });
  return numbers.map((number) => {
    const isOfRun = (path: string) => path.replace(/^"/, '').startsWith(`${folderOf(number)}/`);
    return {
      number,
      problems: [...shared, ...different.filter(isOfRun)],
      named: omitted.filter(({ path }) => isOfRun(path)).map(({ reason }) => reason),
      delivered,
    };
  });
}

/** Between the edits of the runs, the agent may use git. */
function editAll(top: string, numbers: number[]): void {
  for (const number of numbers) {
    const random = seededRandom(number);
    const edited = { folder: join(top, folderOf(number)), random };
    editAtRandom(edited);
    if (random.number(40) === 0) useGitAtRandom({ top, random });
  }
  // Git would wait at some of these, so they come last.
  for (const number of numbers) {
    const random = seededRandom(-number - 1);
    if (random.number(8) === 0) addSpecialFile({ folder: join(top, folderOf(number)), random });
  }
}

type Applied = { failed: string; tree: string; submodules: string[] };

/** Checks the commit out into a folder, and applies the patch there. */
function applyPatch(clone: string, copy: string, patch: string | undefined): Applied {
  mkdirSync(copy);
  const places = {
    GIT_DIR: join(clone, '.git'),
    GIT_WORK_TREE: copy,
    GIT_INDEX_FILE: join(clone, '.git', 'copy-index'),
  };
  rmSync(places.GIT_INDEX_FILE, { force: true });
  const options = { cwd: copy, env: { ...gitEnvironment, ...places } };
  spawnSync('git', ['read-tree', '--reset', '-u', 'HEAD'], options);
  // As in a checkout that is older than a moment: git takes the files for unchanged without reading them.
  const later = new Date(Date.now() + 60_000);
  utimesSync(places.GIT_INDEX_FILE, later, later);
  const applied =
    patch === undefined
      ? undefined
      : spawnSync('git', ['apply', '--index', '--whitespace=nowarn', '-'], { ...options, input: patch });
  const listed = execFileSync('git', ['ls-files', '-z', '--stage'], options).toString('latin1').split('\0');
  const submodules = listed
    .filter((line) => line.startsWith('160000'))
    .map((line) => line.slice(line.indexOf('\t') + 1));
  const tree = listed
    .filter(Boolean)
    .map((line) => line.replace(/ 0\t/, '\t'))
    .join('\0');
  return { failed: applied && applied.status !== 0 ? applied.stderr.toString() : '', tree, submodules };
}

/** Compares the tree of the pushed branch with the tree after the patch. Returns whether a branch was pushed. */
async function deliver(
  run: WorkspaceLease,
  clone: string,
  number: number,
  tree: string,
  problems: string[],
): Promise<boolean> {
  const delivery = await run.deliver({ branch: `agent/${number}`, message: 'x\0y' });
  if (delivery.state === 'failed' && !/through a filter/.test(delivery.detail ?? '')) {
    problems.push(`the delivery failed: ${delivery.detail}`);
  }
  if (delivery.state !== 'pushed') return false;
  const remote = join(clone, '..', 'remote.git');
  const pushed = execFileSync('git', ['ls-tree', '-r', '-z', `agent/${number}`], { cwd: remote, env: gitEnvironment });
  const entries = pushed
    .toString('latin1')
    .split('\0')
    .filter(Boolean)
    .map((line) => line.replace(/^(\d+) \w+ /, '$1 '));
  if (entries.join('\0') !== tree) problems.push('the branch has another tree than the patch makes');
  return true;
}

/**
 * Surveys a working tree before git reads it. Finds what git does not list, cannot read or would wait for: pipes and
 * other special files, folders without files, and files without permissions.
 */
import { constants, type Stats } from 'node:fs';
import { access, chmod, lstat, readdir, stat, unlink } from 'node:fs/promises';
import { runCommand } from '../../processes/child-process.ts';
import { type BytePath, partsOf, pathBelow } from '../git/byte-path.ts';
import { GitError } from '../git/git.ts';
import { disarmNested, refuseWaiting } from './nested-git.ts';

export type Survey = {
  special: BytePath[];
  emptyFolders: BytePath[];
  unreadable: BytePath[];
  /** The folders, with paths of at most 1000 bytes, that hold files whose paths are too long for the system. */
  tooLong: BytePath[];
  /** The `.git` of each nested repository. */
  repositories: BytePath[];
  /**
   * The files that were written after the index. Git itself takes a file for unchanged if what it would store is
   * unchanged.
   */
  written: BytePath[];
};

const options = { cwd: '/', env: { PATH: '/usr/bin:/bin' }, timeoutMs: 120_000, maxOutputBytes: 64 * 1024 * 1024 };

/** The times of the last change of a file's content or state are compared, because nobody can set them. */
const expressionWith = (workTree: string, indexFile: string) => [
  ...['(', '-type', 'p', '-o', '-type', 's', '-o', '-type', 'b', '-o', '-type', 'c'],
  ...['-o', '-type', 'f', '-cnewer', indexFile],
  ...['-o', '-type', 'd', '!', '-perm', '-700', '-o', '-type', 'f', '!', '-perm', '-400'],
  ...['-o', '-type', 'd', '-empty', '-o', '-path', longPattern(workTree), ')'],
];

/** The longest path that the system accepts, in bytes. `find` itself reaches longer ones, because it changes its folder. */
const maxPathBytes = 4095;

/** A pattern for paths, as `find` prints them, that are too long below the working tree. */
function longPattern(workTree: string): string {
  return `${'?'.repeat(Math.max(1, maxPathBytes - Buffer.byteLength(workTree)))}*`;
}

/**
 * Surveys the folder, without the `.git` folders in it: there, only what git would wait at is found.
 * @param indexFile an index that git wrote after the files. If it does not exist, `written` is empty
 * @param owned whether the folder was made for the run. If so, gives the server permission to read everything, and
 * removes special files, because git would wait for ever at a pipe that is called `.gitignore`
 */
export async function survey(workTree: string, indexFile: string, owned: boolean): Promise<Survey> {
  const reference = await stat(indexFile).then(
    () => indexFile,
    () => workTree,
  );
  // Each round can find further files, in the folders that the round before it has opened.
  for (let round = 0; ; round += 1) {
    const found = await classify(workTree, await find(workTree, reference), owned);
    if (!owned || found.unreadable.length === 0 || round === maxRounds) {
      await passSpecialFiles(workTree, owned, found.special);
      if (found.repositories.length === 0) return found;
      if (owned) found.special.push(...(await disarmNested(workTree, found.repositories)));
      else await refuseWaiting(workTree, found.repositories);
      return found;
    }
    for (const path of found.unreadable) await makeReadable(pathBelow(workTree, path)).catch(() => {});
  }
}

const maxRounds = 50;

async function find(workTree: string, reference: string): Promise<Set<BytePath>> {
  const args = ['.', '-name', '.git', '-prune', '-print0', '-o', ...expressionWith(workTree, reference), '-print0'];
  const { stdout, stderr, stopped } = await runCommand('find', args, { ...options, cwd: workTree });
  if (stopped) throw new GitError(`the folder could not be surveyed: ${stopped}`);
  // A folder of another user is found only by this error.
  const refused = [...stderr.matchAll(/^find: '(.*)': Permission denied$/gm)].map(([, path = '']) => path);
  return new Set([...partsOf(stdout), ...refused].map((path) => path.replace(/^\.\//, '')));
}

async function classify(workTree: string, paths: Set<BytePath>, owned: boolean): Promise<Survey> {
  const survey: Survey = {
    special: [],
    emptyFolders: [],
    unreadable: [],
    tooLong: [],
    repositories: [],
    written: [],
  };
  const tooLong = new Set<BytePath>();
  for (const path of paths) {
    const found = pathBelow(workTree, path);
    const stats = await lstat(found).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENAMETOOLONG') tooLong.add(folderToName(path));
    });
    if (!stats || path === '.' || path === '.git') continue;
    if (isSpecial(stats)) survey.special.push(path);
    else if (path.endsWith('/.git')) survey.repositories.push(path);
    else if (!(await isAccessible(found, stats, owned))) survey.unreadable.push(path);
    else if (stats.isFile()) survey.written.push(path);
    else if (stats.isDirectory() && (await readdir(found)).length === 0) survey.emptyFolders.push(path);
  }
  return { ...survey, tooLong: [...tooLong] };
}

/** Returns the lowest folder above the path whose own path is short enough to be named and moved. */
function folderToName(path: BytePath): BytePath {
  const short = path.slice(0, 1000);
  return short.slice(0, short.lastIndexOf('/'));
}

function isSpecial(stats: Stats): boolean {
  return stats.isFIFO() || stats.isSocket() || stats.isBlockDevice() || stats.isCharacterDevice();
}

async function isAccessible(path: Buffer, stats: Stats, owned: boolean): Promise<boolean> {
  if (stats.isSymbolicLink()) return true;
  const { R_OK, W_OK, X_OK } = constants;
  const folderMode = owned ? R_OK | W_OK | X_OK : R_OK | X_OK;
  return access(path, stats.isDirectory() ? folderMode : R_OK).then(
    () => true,
    () => false,
  );
}

/** Does not change whether a file is executable, because that is a part of the work. */
async function makeReadable(path: Buffer): Promise<void> {
  const stats = await lstat(path);
  await chmod(path, (stats.mode & 0o777) | (stats.isDirectory() ? 0o700 : 0o400));
}

/** The files that git opens by their names. */
const opened = /(^|\/)\.git(ignore|attributes|modules)$/;

async function passSpecialFiles(workTree: string, owned: boolean, special: BytePath[]): Promise<void> {
  for (const path of special) {
    if (owned) await unlink(pathBelow(workTree, path));
    else if (opened.test(path)) throw new GitError(`git would wait for ever at ${path}, which is not a file`);
  }
}

/** Random edits of a working tree, as an agent may make them: files, links, special files, repositories and git commands. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gitEnvironment } from './git-repositories.ts';
import { type Random, seededRandom } from './random.ts';
import {
  joinBytes,
  randomAttributes,
  randomChange,
  randomContent,
  randomIgnored,
  randomLinkTarget,
  randomName,
  randomPath,
  randomPointer,
} from './random-files.ts';

export type Edited = { folder: string; random: Random };

/** The repository of the agent. */
export type EditedRepository = { top: string; random: Random };

type Edit = (edited: Edited) => void;

/** Makes several edits of files. An edit that is impossible, such as a file below a file, is left out. */
export function editAtRandom(edited: Edited): void {
  const count = edited.random.pick([1, 1, 2, 3, 5]);
  for (let at = 0; at < count; at += 1) attempt(() => edited.random.pick(edits)(edited));
}

/** Does one thing with the agent's repository. */
export function useGitAtRandom(repository: EditedRepository): void {
  attempt(() => repository.random.pick(uses)(repository));
}

/** Makes a file at which git would wait, or that is too large. */
export function addSpecialFile(edited: Edited): void {
  attempt(() => edited.random.pick(specialFiles)(edited));
}

function attempt(edit: () => void): void {
  try {
    edit();
  } catch (error) {
    if (!(error instanceof Error && ('code' in error || 'status' in error))) throw error;
  }
}

/**
 * Returns the full path. Throws if a link in it leads out of the folder: an edit must never change a file of the machine.
 */
function place({ folder }: Edited, path: Buffer): Buffer {
  const top = realpathSync(folder);
  const full = joinBytes(Buffer.from(folder), path);
  for (let above = full; above.length > folder.length; ) {
    above = above.subarray(0, above.lastIndexOf('/'));
    const real = realOf(above);
    if (real === undefined) continue;
    if (real === top || real.startsWith(`${top}/`)) return full;
    break;
  }
  throw Object.assign(new Error('a link leads out of the folder'), { code: 'ELOOP' });
}

function realOf(path: Buffer): string | undefined {
  try {
    return realpathSync.native(path as unknown as string, 'latin1');
  } catch {
    if (lstatSync(path, { throwIfNoEntry: false })) return '/a link that leads nowhere';
    return undefined;
  }
}

/** Writes a file, but not the target of a link. */
function writeHere(path: Buffer, content: Buffer | Uint8Array, how = constants.O_TRUNC): void {
  const descriptor = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW | how);
  writeFileSync(descriptor, content);
  closeSync(descriptor);
}

/** Writes a file, and makes the folders above it. */
export function put(edited: Edited, path: Buffer, content: Buffer): void {
  mkdirSync(edited.folder, { recursive: true });
  const full = place(edited, path);
  mkdirSync(full.subarray(0, full.lastIndexOf('/')), { recursive: true });
  writeHere(full, content);
}

/** A file or a folder that exists, but not `.git`. */
function existing(edited: Edited, wanted: 'file' | 'any'): Buffer {
  const found: Buffer[] = [];
  const walk = (prefix: Buffer[]): void => {
    for (const name of readdirSync(place(edited, joinBytes(...prefix, Buffer.from('.'))), { encoding: 'buffer' })) {
      if (name.toString() === '.git') continue;
      const path = joinBytes(...prefix, name);
      const stats = lstatSync(place(edited, path));
      if (wanted === 'any' || stats.isFile()) found.push(path);
      if (stats.isDirectory()) walk([...prefix, name]);
    }
  };
  walk([]);
  if (found.length === 0) throw Object.assign(new Error('there is no file'), { code: 'ENOENT' });
  return edited.random.pick(found);
}

const put2 = (edited: Edited, path: string, content: Buffer) => put(edited, Buffer.from(path), content);
const remove = (edited: Edited, path: Buffer) =>
  rmSync(place(edited, path) as unknown as string, { recursive: true, force: true });
const git = ({ top }: EditedRepository, ...args: string[]) =>
  execFileSync('git', args, { cwd: top, env: gitEnvironment, stdio: 'pipe', timeout: 10_000 });

function commitAll(used: EditedRepository): void {
  git(used, 'add', '--all', '--force');
  git(used, 'commit', '--quiet', '--allow-empty', '--message', 'by the agent');
}

/** A repository without a commit, made without a command. */
function makeRepository(edited: Edited, folder: string): void {
  for (const part of ['objects', 'refs/heads']) {
    mkdirSync(place(edited, Buffer.from(`${folder}/.git/${part}`)), { recursive: true });
  }
  put2(edited, `${folder}/.git/HEAD`, Buffer.from('ref: refs/heads/main\n'));
}

const edits: Edit[] = [
  (edited) => put(edited, randomPath(edited.random, true), randomContent(edited.random)),
  (edited) => put(edited, randomPath(edited.random, true), randomContent(edited.random)),
  (edited) => put(edited, existing(edited, 'file'), randomContent(edited.random)),
  (edited) => {
    const path = place(edited, existing(edited, 'file'));
    writeHere(path, randomChange(edited.random, readFileSync(path)));
  },
  (edited) => writeHere(place(edited, existing(edited, 'file')), Buffer.from('more\n'), constants.O_APPEND),
  (edited) => {
    // A change that keeps the size and the time.
    const path = place(edited, existing(edited, 'file'));
    const { atime, mtime } = lstatSync(path);
    writeHere(
      path,
      readFileSync(path).map((byte) => byte ^ 1),
    );
    utimesSync(path, atime, mtime);
  },
  (edited) => remove(edited, existing(edited, 'any')),
  (edited) => {
    const path = existing(edited, 'any');
    const target = randomPath(edited.random, true);
    const full = place(edited, target);
    mkdirSync(full.subarray(0, full.lastIndexOf('/')), { recursive: true });
    renameSync(place(edited, path), full);
  },
  (edited) => {
    const path = existing(edited, 'any').toString('latin1');
    const swapped = path.replace(/[a-zA-Z]/g, (letter) =>
      letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
    );
    renameSync(place(edited, Buffer.from(path, 'latin1')), place(edited, Buffer.from(swapped, 'latin1')));
  },
  (edited) => {
    const [one, other] = [existing(edited, 'file'), existing(edited, 'file')].map((path) => place(edited, path));
    if (!one || !other || one.equals(other)) return;
    const between = joinBytes(Buffer.from(edited.folder), Buffer.from('.between'));
    renameSync(one, between);
    renameSync(other, one);
    renameSync(between, other);
  },
  (edited) =>
    chmodSync(place(edited, existing(edited, 'file')), edited.random.pick([0o755, 0o644, 0o700, 0o600, 0o611])),
  (edited) => {
    const path = place(edited, existing(edited, 'any'));
    // `chmod` would change the target of a link.
    if (!lstatSync(path).isSymbolicLink()) chmodSync(path, edited.random.pick([0, 0o111, 0o222, 0o555]));
  },
  (edited) => {
    const path = edited.random.number(2) === 0 ? existing(edited, 'any') : randomPath(edited.random, true);
    remove(edited, path);
    symlinkSync(randomLinkTarget(edited.random), place(edited, path));
  },
  (edited) => {
    const path = existing(edited, 'any');
    remove(edited, path);
    put(edited, joinBytes(path, randomName(edited.random, true)), randomContent(edited.random));
  },
  (edited) => mkdirSync(place(edited, randomPath(edited.random)), { recursive: true }),
  (edited) =>
    put2(edited, edited.random.pick(['', 'd/', 'lib/']).concat('.gitattributes'), randomAttributes(edited.random)),
  (edited) => put2(edited, edited.random.pick(['', 'd/', 'e/']).concat('.gitignore'), randomIgnored(edited.random)),
  (edited) => put2(edited, 'data.bin', randomPointer(edited.random)),
  (edited) => put2(edited, 'sub/inside.txt', Buffer.from('inside a submodule\n')),
  (edited) => {
    makeRepository(edited, edited.random.pick(['nested', 'd', 'lib/deeper', 'a.txt']));
    put2(edited, 'nested/file.txt', randomContent(edited.random));
  },
];

const inGit = ({ top }: EditedRepository, path: string, content: string) =>
  put({ folder: top, random: seededRandom(0) }, Buffer.from(`.git/${path}`), Buffer.from(content));

const uses: ((used: EditedRepository) => void)[] = [
  commitAll,
  commitAll,
  (used) => {
    commitAll(used);
    const [command = '', ...args] = used.random.pick([
      ['reset', '-q', '--soft', 'HEAD~1'],
      ['checkout', '-q', '-b', 'other'],
      ['commit', '-q', '--amend', '-m', 'again'],
      ['gc', '-q'],
    ]);
    git(used, command, ...args);
  },
  (used) =>
    git(
      used,
      ...used.random.pick([
        ['stash', '-u', '-q'],
        ['reset', '-q', '--hard'],
        ['checkout', '-q', '.'],
      ]),
    ),
  (used) =>
    git(
      used,
      ...used.random.pick([
        ['checkout', '-q', '--detach'],
        ['rm', '-rq', '--cached', '.'],
        ['add', '-N', '.'],
      ]),
    ),
  (used) => {
    const listed = git(used, 'ls-files', '-z').toString('utf8').split('\0').filter(Boolean).slice(0, 20);
    git(used, 'update-index', used.random.pick(['--assume-unchanged', '--skip-worktree']), ...listed);
  },
  ({ top }) => rmSync(join(top, '.git'), { recursive: true, force: true }),
  (used) => inGit(used, 'index', 'no index'),
  (used) => inGit(used, 'index.lock', ''),
  (used) => inGit(used, 'MERGE_HEAD', `${'1'.repeat(40)}\n`),
  (used) => inGit(used, 'rebase-merge/head-name', 'x'),
  (used) => inGit(used, 'info/exclude', '*\n'),
  (used) => inGit(used, 'config', '[core]\n\tautocrlf = true\n\tfilemode = false\n'),
  (used) => inGit(used, 'HEAD', 'nonsense'),
  ({ top }) => {
    rmSync(join(top, '.git'), { recursive: true, force: true });
    // A folder of this run: later edits write into the target of the link.
    const elsewhere = mkdtempSync(join(dirname(top), 'elsewhere-'));
    symlinkSync(elsewhere, join(top, '.git'));
  },
];

const specialFiles: Edit[] = [
  (edited) => {
    const path = edited.random.pick([
      existing(edited, 'file').toString('latin1'),
      'pipe',
      '.gitignore',
      'd/.gitattributes',
    ]);
    remove(edited, Buffer.from(path, 'latin1'));
    // The name may be no UTF-8, which an argument cannot hold.
    place(edited, Buffer.from(path, 'latin1'));
    execFileSync('xargs', ['-0', 'mkfifo', '--'], {
      cwd: edited.folder,
      input: Buffer.from(path, 'latin1'),
      stdio: 'pipe',
    });
  },
  (edited) => {
    put2(edited, 'huge', Buffer.alloc(0));
    truncateSync(join(edited.folder, 'huge'), 300 * 1024 * 1024);
  },
];

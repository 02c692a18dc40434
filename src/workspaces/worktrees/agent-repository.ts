/**
 * Writes the `.git` of a worktree: a separate repository for one run, which borrows objects from the workspace's
 * repository and looks like a fresh clone. No other run sees the commits, branches and settings made in it, and the
 * server never runs git in it.
 *
 * A linked worktree (`git worktree add`) would share branches, stash, settings and hooks with the user's repository and
 * with every other run. An agent whose sandbox lets it write only in its own folder could not commit there.
 */
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { copyIndex } from '../changes/baseline.ts';
import { remotesIn, settingsFile } from '../git/git-settings.ts';
import { objectFolders } from '../git/repository.ts';
import type { StartPoint } from './start-point.ts';

/** `symbolic` is the ref to which a symbolic ref points. Empty for all other refs. */
export type Ref = { id: string; symbolic: string; name: string };

/**
 * Writes the agent's repository, and replaces a `.git` that is already there.
 * @param refs the remote branches and tags
 * @param index the index file after the files were checked out
 */
export async function writeAgentRepository(
  folder: string,
  start: StartPoint,
  refs: Ref[],
  index: string,
): Promise<void> {
  const own = join(folder, '.git');
  const { gitDir } = start.mirror.place;
  await rm(own, { recursive: true, force: true });
  for (const part of ['refs/heads', 'refs/tags', 'objects/info', 'objects/pack', 'info']) {
    await mkdir(join(own, part), { recursive: true });
  }
  await writeFile(join(own, 'config'), agentSettings(start));
  // All folders are named here, because Git LFS does not look into the alternates of an alternate.
  const alternates = await objectFolders(start.mirror.objects);
  await writeFile(join(own, 'objects/info/alternates'), alternates.map((path) => `${path}\n`).join(''));
  await writeFile(join(own, 'packed-refs'), packedRefs(refs, start));
  for (const { name, symbolic } of refs.filter((ref) => ref.symbolic)) {
    await mkdir(dirname(join(own, name)), { recursive: true });
    await writeFile(join(own, name), `ref: ${symbolic}\n`);
  }
  await writeFile(join(own, 'HEAD'), start.branch ? `ref: refs/heads/${start.branch}\n` : `${start.revision}\n`);
  for (const part of ['shallow', 'info/exclude', 'info/sparse-checkout']) {
    await copyFile(join(gitDir, part), join(own, part)).catch(() => {});
  }
  if (start.revision) await copyIndex(index, join(own, 'index'));
}

function packedRefs(refs: Ref[], { branch, revision }: StartPoint): string {
  const own = branch && revision ? [{ id: revision, name: `refs/heads/${branch}`, symbolic: '' }] : [];
  const lines = [...own, ...refs].filter(({ symbolic }) => !symbolic).map(({ id, name }) => `${id} ${name}\n`);
  return lines.join('');
}

/** Returns the settings that a clone would have, without passwords and tokens. */
export function agentSettings({ settings }: StartPoint): string {
  const kept = settings.repository.filter(
    ({ name, value }) => !/^(core\.bare$|extensions\.refstorage$|http\.)/.test(name) && !isSecretRewrite(name, value),
  );
  return settingsFile([
    {
      name: 'core.repositoryformatversion',
      value: kept.some(({ name }) => name.startsWith('extensions.')) ? '1' : '0',
    },
    { name: 'core.bare', value: 'false' },
    ...kept.map(({ name, value }) => ({ name, value: /url$/.test(name) ? withoutPassword(value) : value })),
    ...remotesIn(kept).map((name) => ({ name: `remote.${name}.fetch`, value: `+refs/heads/*:refs/remotes/${name}/*` })),
  ]);
}

/** Returns whether a setting `url.BASE.insteadOf` names a password or a token. */
function isSecretRewrite(name: string, value: string): boolean {
  return name.startsWith('url.') && /https?:\/\/[^/]*@/i.test(`${name} ${value}`);
}

function withoutPassword(url: string): string {
  return url.replace(/^(https?:\/\/)[^/@]*@/i, '$1');
}

/**
 * The `.git` that an agent finds in its worktree: a repository of the run's own, which borrows the objects of the
 * workspace's. It looks like a fresh clone; commits, branches and settings made in it are seen by nobody else, and the
 * server itself never reads it.
 *
 * A linked worktree (`git worktree add`) would share branches, stash, settings and hooks with the user's repository and
 * with every other run, and could not commit in a sandbox that lets an agent write only in its own folder.
 */
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { copyIndex } from '../changes/baseline.ts';
import { settingsFile } from '../git/git-settings.ts';
import type { Ref } from './head-facts.ts';
import type { SyncedHead } from './start-point.ts';

/** Replaces what is there. @param index of the files, as they were checked out */
export async function writeAgentRepository(
  folder: string,
  head: SyncedHead,
  refs: Ref[],
  index: string,
): Promise<void> {
  const own = join(folder, '.git');
  const { gitDir } = head.standIn.place;
  await rm(own, { recursive: true, force: true });
  for (const part of ['refs/heads', 'refs/tags', 'objects/info', 'objects/pack', 'info']) {
    await mkdir(join(own, part), { recursive: true });
  }
  await writeFile(join(own, 'config'), agentSettings(head));
  await writeFile(join(own, 'objects/info/alternates'), `${head.standIn.objects}\n`);
  await writeFile(join(own, 'packed-refs'), packed(refs, head));
  for (const { name, symbolic } of refs.filter((ref) => ref.symbolic)) {
    await mkdir(dirname(join(own, name)), { recursive: true });
    await writeFile(join(own, name), `ref: ${symbolic}\n`);
  }
  await writeFile(join(own, 'HEAD'), head.branch ? `ref: refs/heads/${head.branch}\n` : `${head.revision}\n`);
  for (const part of ['shallow', 'info/exclude', 'info/sparse-checkout']) {
    await copyFile(join(gitDir, part), join(own, part)).catch(() => {});
  }
  if (head.revision) await copyIndex(index, join(own, 'index'));
}

function packed(refs: Ref[], head: SyncedHead): string {
  const own =
    head.branch && head.revision ? [{ id: head.revision, name: `refs/heads/${head.branch}`, symbolic: '' }] : [];
  const lines = [...own, ...refs].filter(({ symbolic }) => !symbolic).map(({ id, name }) => `${id} ${name}\n`);
  return lines.join('');
}

/** As a clone has them, but for what is secret. */
export function agentSettings({ settings }: SyncedHead): string {
  const kept = settings.repository.filter(({ name }) => !/^(core\.bare$|extensions\.refstorage$|http\.)/.test(name));
  const remotes = new Set(kept.flatMap(({ name }) => /^remote\.(.+)\.url$/s.exec(name)?.[1] ?? []));
  return settingsFile([
    {
      name: 'core.repositoryformatversion',
      value: kept.some(({ name }) => name.startsWith('extensions.')) ? '1' : '0',
    },
    { name: 'core.bare', value: 'false' },
    ...kept.map(({ name, value }) => ({ name, value: /url$/.test(name) ? withoutPassword(value) : value })),
    ...[...remotes].map((name) => ({ name: `remote.${name}.fetch`, value: `+refs/heads/*:refs/remotes/${name}/*` })),
  ]);
}

function withoutPassword(url: string): string {
  return url.replace(/^(https?:\/\/)[^/@]*@/i, '$1');
}

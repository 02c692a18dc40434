/**
 * The folder of a repository that agents work in, when it is not the top. Upstream can turn it, or one above it, into a
 * link to any place of the host, so it is never followed unseen.
 */
import { mkdir, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { Repository } from './git/repository.ts';
import { unavailable } from './workspaces.ts';

/**
 * Makes what is missing of `root/prefix`, a step at a time. Throws `workspace_unavailable`, before anything is made,
 * when a step leads out of `root`.
 */
export async function makeWorkFolder(root: string, prefix: string): Promise<void> {
  const top = await realpath(root);
  let path = root;
  for (const step of prefix.split(sep).filter(Boolean)) {
    path = join(path, step);
    const real = await realpath(path).catch(async (error: NodeJS.ErrnoException) => {
      // A link to nothing is refused as well: making its target would be making a folder elsewhere.
      if (error.code !== 'ENOENT') throw error;
      await mkdir(path, { mode: 0o777 });
      return realpath(path);
    });
    if (!real.startsWith(top + sep)) throw leadsOutside();
    if (isGitFolder(relative(top, real))) throw unavailable('its folder in the repository leads into its .git');
    if (!(await stat(real)).isDirectory()) throw unavailable('its folder in the repository is a file');
  }
}

function isGitFolder(path: string): boolean {
  return path.split(sep)[0]?.toLowerCase() === '.git';
}

/**
 * Throws `workspace_unavailable` when the workspace belongs to another repository than at the server's start: its folder
 * within one has become a link, or its `.git` leads elsewhere. The top of a repository is the operator's to move.
 */
export function checkSameRepository(first: Repository, now: Repository | undefined): void {
  if (first.prefix !== '' && (now?.root !== first.root || now.prefix !== first.prefix)) throw leadsOutside();
  if (!now || placesOf(first) === placesOf(now)) return;
  throw unavailable('its .git leads to another place than at the start of the server');
}

function placesOf({ root, gitDir, commonDir }: Repository): string {
  return JSON.stringify([relative(root, gitDir), relative(root, commonDir)]);
}

function leadsOutside() {
  return unavailable('its folder in the repository is gone, or a link that leads out of it');
}

/**
 * Links in the `.git` of a shared workspace, which an agent may write: the server's own git would write through them, to
 * any place of the host. Those that were there at the server's start are the operator's.
 */
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unavailable } from './workspaces.ts';

/** Where git writes when it moves a branch, by how deep it is to be looked at. */
const parts = [
  { name: '.', depth: 1 },
  { name: 'refs', depth: 50 },
  { name: 'logs', depth: 50 },
  { name: 'objects', depth: 2 },
  { name: 'info', depth: 1 },
];
const maxEntries = 100_000;

export async function linksIn(gitDir: string): Promise<Set<string>> {
  const links = new Set<string>();
  let left = maxEntries;
  const walk = async (folder: string, depth: number): Promise<void> => {
    const entries: Dirent[] = await readdir(folder, { withFileTypes: true }).catch(() => []);
    left -= entries.length;
    if (left < 0) throw unavailable(`its .git has more than ${maxEntries} files beside its objects`);
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isSymbolicLink()) links.add(path);
      else if (entry.isDirectory() && depth > 1) await walk(path, depth - 1);
    }
  };
  for (const { name, depth } of parts) await walk(join(gitDir, name), depth);
  return links;
}

/** Throws `workspace_unavailable` when there is a link that was not there before. */
export async function refuseNewLinks(gitDir: string, known: Set<string>): Promise<void> {
  for (const link of await linksIn(gitDir)) {
    if (!known.has(link)) throw unavailable(`an agent has put a link into its .git: ${link.slice(gitDir.length + 1)}`);
  }
}

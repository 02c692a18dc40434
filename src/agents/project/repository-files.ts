/**
 * Reads files of a possibly hostile repository. Does not follow links that lead out of it, and limits how much it
 * reads.
 */
import { constants } from 'node:fs';
import { open, opendir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { startOf } from '../../truncate.ts';

/** How many directory entries one call of `listFiles` reads. The rest of a larger folder is left out. */
const maxEntries = 2000;
/** How many levels of folders one call of `listFiles` reads. */
const maxDepth = 5;

/**
 * Returns the real path of a file. Returns undefined if the file is missing, or if its real path is not below `top`.
 * @param top a real path
 */
export async function realBelow(top: string, path: string): Promise<string | undefined> {
  const real = await realpath(path).catch(() => undefined);
  return real?.startsWith(top + sep) ? real : undefined;
}

/**
 * Returns the sorted paths of the files below a folder whose names end in `ending`. Does not enter folders that are
 * links.
 */
export async function listFiles(top: string, folder: string, ending: string): Promise<string[]> {
  const found: string[] = [];
  let left = maxEntries;
  const walk = async (path: string, depth: number): Promise<void> => {
    const entries = await opendir(path).catch(() => undefined);
    if (!entries) return;
    const folders: string[] = [];
    for await (const entry of entries) {
      left -= 1;
      if (left < 0) return;
      if (entry.isDirectory()) folders.push(join(path, entry.name));
      else if (entry.name.endsWith(ending)) found.push(join(path, entry.name));
    }
    if (depth < maxDepth) for (const each of folders) await walk(each, depth + 1);
  };
  if (await realBelow(top, folder)) await walk(folder, 1);
  return found.sort();
}

/**
 * Returns the beginning of a text file. Returns undefined if it is not a regular file, or contains a zero byte. Does
 * not wait for a pipe or a device.
 */
export async function readText(path: string, maxCharacters: number): Promise<string | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW).catch(
    () => undefined,
  );
  if (!file) return undefined;
  try {
    const status = await file.stat();
    if (!status.isFile()) return undefined;
    // A character has up to four bytes.
    const buffer = Buffer.alloc(Math.min(maxCharacters * 4, status.size));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    const bytes = buffer.subarray(0, bytesRead);
    return bytes.includes(0) ? undefined : startOf(bytes.toString('utf8'), maxCharacters);
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

/**
 * Keeps secrets that are made at the first start in the data folder, where only the server's own user can read them.
 */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Returns the kept secret. Returns `undefined` if there is none. Throws an Error with a one-line message if its file
 * cannot be read.
 */
export async function findKeptSecret(folder: string, name: string): Promise<string | undefined> {
  try {
    return (await readFile(join(folder, name), 'utf8')).trim() || undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    // Making another secret would lock out everybody who uses this one.
    throw new Error(`Cannot read ${join(folder, name)}: ${code}`, { cause: error });
  }
}

/**
 * Returns the kept secret, or makes and keeps one if there is none. If two processes make a secret at once, both get
 * the same one.
 */
export async function keepSecret(
  folder: string,
  name: string,
  make: () => string,
): Promise<{ secret: string; created: boolean }> {
  const found = await findKeptSecret(folder, name);
  if (found !== undefined) return { secret: found, created: false };
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, name);
  const draft = `${path}.${randomUUID()}`;
  try {
    const secret = make();
    await writeFile(draft, `${secret}\n`, { mode: 0o600, flag: 'wx', flush: true });
    // The file is complete when it gets its name. A link, unlike a rename, does not replace an existing file.
    await link(draft, path).catch((error) => renameWithoutLinks(error, draft, path));
    return { secret, created: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const first = await findKeptSecret(folder, name);
    if (first !== undefined) return { secret: first, created: false };
    throw new Error(`Cannot use ${path}: it is empty; remove it, and the next start makes one`, { cause: error });
  } finally {
    await rm(draft, { force: true });
  }
}

/**
 * Renames the draft on a file system without hard links. No other process can make the file at the same time, because
 * the server holds the folder's lock.
 */
async function renameWithoutLinks(error: NodeJS.ErrnoException, draft: string, path: string): Promise<void> {
  if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(error.code ?? '')) throw error;
  await rename(draft, path);
}

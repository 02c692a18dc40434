/** Secrets that are made at the first start and kept in the data folder, where only the server's own user can read them. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** `undefined`: there is none. Throws an Error with one line when its file cannot be read. */
export async function findKeptSecret(folder: string, name: string): Promise<string | undefined> {
  try {
    return (await readFile(join(folder, name), 'utf8')).trim() || undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    // Making another secret would lock out everybody who has this one.
    throw new Error(`Cannot read ${join(folder, name)}: ${code}`, { cause: error });
  }
}

/** Makes the secret unless there is one. When two processes make it at once, both get the same one. */
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
    // The file is complete when it gets its name. A link, unlike a rename, does not replace a file that has the name.
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

/** For file systems without hard links. No other process can make the file meanwhile: the server holds the folder's lock. */
async function renameWithoutLinks(error: NodeJS.ErrnoException, draft: string, path: string): Promise<void> {
  if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(error.code ?? '')) throw error;
  await rename(draft, path);
}

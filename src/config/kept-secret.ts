/** Secrets that are made at the first start and kept in the data folder, for the server's own user alone. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** `undefined`: there is none. Throws an Error with one line when there is one that cannot be read. */
export async function findKeptSecret(folder: string, name: string): Promise<string | undefined> {
  try {
    return (await readFile(join(folder, name), 'utf8')).trim() || undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    // To make another one would shut out everybody who has this one.
    throw new Error(`Cannot read ${join(folder, name)}: ${code}`, { cause: error });
  }
}

/** Never replaces a secret: when two processes make one at once, both get the first. */
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
    // The file is whole when it gets its name; and unlike a rename, a link does not replace what has the name.
    await link(draft, path).catch((error) => withoutLinks(error, draft, path));
    return { secret, created: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const first = await findKeptSecret(folder, name);
    if (first !== undefined) return { secret: first, created: false };
    throw new Error(`Cannot use ${path}: it is empty; without it the next start makes one`, { cause: error });
  } finally {
    await rm(draft, { force: true });
  }
}

/** Some file systems have no hard links. The server holds the folder's lock, so nobody else gives the name meanwhile. */
async function withoutLinks(error: NodeJS.ErrnoException, draft: string, path: string): Promise<void> {
  if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(error.code ?? '')) throw error;
  await rename(draft, path);
}

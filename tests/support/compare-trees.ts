/** Compares two folders byte for byte: names, types, contents, execute permissions and targets of links. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { shownPath } from '../../src/workspaces/git/byte-path.ts';

/** What is at each path, by the path as bytes in latin1. Leaves out each `.git`. */
export type Tree = Map<string, string>;

export function readTree(folder: string): Tree {
  const tree: Tree = new Map();
  const walk = (above: Buffer, prefix: string): void => {
    for (const name of readdirSync(above, { encoding: 'buffer' })) {
      if (name.toString('latin1') === '.git') continue;
      const path = Buffer.concat([above, Buffer.from('/'), name]);
      const shown = prefix + name.toString('latin1');
      const stats = lstatSync(path);
      if (stats.isDirectory()) {
        tree.set(shown, 'folder');
        walk(path, `${shown}/`);
      } else tree.set(shown, describe(path, stats));
    }
  };
  walk(Buffer.from(folder), '');
  return tree;
}

function describe(path: Buffer, stats: ReturnType<typeof lstatSync> & object): string {
  if (stats.isSymbolicLink()) return `link ${readlinkSync(path, 'buffer').toString('latin1')}`;
  if (!stats.isFile()) return 'special';
  // A file that is too large to be stored holds nothing in these tests, and is not read.
  if (stats.size > 100 * 1024 * 1024) return 'huge';
  const sum = createHash('sha1').update(readFileSync(path)).digest('hex');
  return `file ${Number(stats.mode) & 0o100 ? 'executable ' : ''}${sum}`;
}

/**
 * Returns the differences that the record does not name.
 * @param named the paths in the record
 */
export function differences(expected: Tree, actual: Tree, named: string[]): string[] {
  const paths = named.map((path) => bytesOf(path).replace(/\/$/, ''));
  const allowed = new Set(paths);
  const isNamed = (path: string) => {
    const steps = path.split('/');
    return steps.some((_, at) => allowed.has(steps.slice(0, at + 1).join('/')));
  };
  // A folder above a named file may differ, because git stores no folders.
  const isAbove = (path: string) => paths.some((each) => each.startsWith(`${path}/`));
  return [...new Set([...expected.keys(), ...actual.keys()])]
    .filter((path) => expected.get(path) !== actual.get(path) && !isNamed(path))
    .filter((path) => !((expected.get(path) ?? actual.get(path)) === 'folder' && isAbove(path)))
    .map((path) => `${shownPath(path)}: ${expected.get(path)} in the run, ${actual.get(path)} after the patch`);
}

/** Undoes `shownPath`. */
export function bytesOf(shown: string): string {
  if (!shown.startsWith('"')) return Buffer.from(shown).toString('latin1');
  return shown
    .slice(1, -1)
    .replace(/\\(["\\]|\d{3})/g, (_, escaped: string) =>
      escaped.length === 1 ? escaped : String.fromCharCode(Number.parseInt(escaped, 8)),
    );
}

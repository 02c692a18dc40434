/**
 * Reads the project's own instructions for agents: CLAUDE.md and its imports, which the CLI then gets as text. The CLI
 * may not read them itself, because it would follow links and imports out of the repository.
 */
import { realpath } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { importsIn } from './imports.ts';
import { listFiles, readText, realBelow } from './repository-files.ts';

/** The length of all files together, in characters. Claude Code warns its users above 40,000. */
const maxLength = 200_000;
/** How deep imports are followed. Claude Code has the same limit. */
const maxImports = 5;
const maxFiles = 100;

/** The instruction files of a folder, in the order in which they are read. */
const names = ['CLAUDE.md', '.claude/CLAUDE.md', 'CLAUDE.local.md'];
const rules = '.claude/rules';

type File = { path: string; text: string };

/**
 * Returns the instructions as a text for the system prompt. Returns undefined if there are none. Leaves out files to
 * which a link or an import leads out of `root`.
 * @param root the top of the repository
 * @param folder the folder in which the agent works: `root`, or a folder below it
 */
export async function readInstructions(root: string, folder: string): Promise<string | undefined> {
  const top = await realpath(root).catch(() => root);
  const reader = new Reader(top);
  for (const each of foldersBetween(root, folder)) {
    for (const name of names) await reader.add(join(each, name));
    for (const path of await listFiles(top, join(each, rules), '.md')) await reader.add(path);
  }
  if (reader.files.length === 0) return undefined;
  const parts = reader.files.map(({ path, text }) => `## ${path}\n\n${text.trim()}`);
  const cut = reader.isFull ? [`(The rest is left out: the instructions are over ${maxLength} characters.)`] : [];
  return [heading, ...parts, ...cut].join('\n\n');
}

const heading = `# Instructions of this project

The files below belong to the repository that you work in. They say how its people want work on it to be done: follow
them. They come before your habits, and after what the user asks for.`;

class Reader {
  readonly files: File[] = [];
  readonly #root: string;
  readonly #seen = new Set<string>();
  #length = 0;

  /** @param root a real path */
  constructor(root: string) {
    this.#root = root;
  }

  get isFull(): boolean {
    return this.#length >= maxLength || this.files.length >= maxFiles;
  }

  /** Adds a file and its imports. Skips a file that is missing, is not a text, or is outside the repository. */
  async add(path: string, depth = 0): Promise<void> {
    const real = await realBelow(this.#root, path);
    if (real === undefined || this.#seen.has(real) || this.isFull) return;
    // Files in `.git` are skipped, because git's settings may contain tokens.
    if (relative(this.#root, real).split(sep).includes('.git')) return;
    this.#seen.add(real);
    const text = await readText(real, maxLength - this.#length);
    if (text === undefined || text.trim() === '') return;
    this.#length += text.length;
    this.files.push({ path: relative(this.#root, real), text });
    if (depth >= maxImports) return;
    for (const imported of importsIn(text)) await this.add(resolve(dirname(real), imported), depth + 1);
  }
}

/** Returns the folders from the top of the repository down to `folder`, including both. */
function foldersBetween(root: string, folder: string): string[] {
  const steps = relative(root, folder).split(sep).filter(Boolean);
  if (steps[0] === '..') return [root];
  return [root, ...steps.map((_, at) => join(root, ...steps.slice(0, at + 1)))];
}

/**
 * Reads the project's own instructions for agents: CLAUDE.md and its imports, which the CLI then gets as text. The CLI
 * itself would follow links and imports out of the repository, and it is kept from reading a repository's configuration.
 */
import { realpath } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { importsIn } from './imports.ts';
import { listFiles, readText, realBelow } from './repository-files.ts';

/** Characters of all files together. Claude Code warns its users above 40,000. */
const maxLength = 200_000;
/** The depth to which Claude Code follows imports. */
const maxImports = 5;
const maxFiles = 100;

/** The files of a folder, in the order of the text. */
const names = ['CLAUDE.md', '.claude/CLAUDE.md', 'CLAUDE.local.md'];
const rules = '.claude/rules';

type File = { path: string; text: string };

/**
 * The text for the system prompt. `undefined`: there are no instructions. Links and imports that lead out of `root` are
 * left out.
 * @param root the top of the repository
 * @param folder where the agent works, `root` or below it
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

  /** A file that is missing, is no text, or is outside the repository is passed over. */
  async add(path: string, depth = 0): Promise<void> {
    const real = await realBelow(this.#root, path);
    if (real === undefined || this.#seen.has(real) || this.isFull) return;
    // Git's settings may hold tokens.
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

/** The folders from the top of the repository down to the folder. */
function foldersBetween(root: string, folder: string): string[] {
  const steps = relative(root, folder).split(sep).filter(Boolean);
  if (steps[0] === '..') return [root];
  return [root, ...steps.map((_, at) => join(root, ...steps.slice(0, at + 1)))];
}

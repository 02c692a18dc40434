/**
 * The project's own instructions for agents: CLAUDE.md and what it imports, read by the server and handed over as text.
 * The CLI is kept from reading a repository's configuration, and it would follow links and imports out of the repository.
 */
import { constants } from 'node:fs';
import { open, readdir, realpath } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';

/** Characters of all files together. Claude Code warns its users from 40,000 on. */
const maxLength = 200_000;
/** As deep as Claude Code follows imports. */
const maxImports = 5;
const maxFiles = 100;

/** In a folder, in the order in which they are told. */
const names = ['CLAUDE.md', '.claude/CLAUDE.md', 'CLAUDE.local.md'];
const rules = '.claude/rules';

type File = { path: string; text: string };

/**
 * The text for the system prompt; `undefined`: there are no instructions. What leads out of `root`, by a link or by an
 * import, is left out.
 * @param root the top of the repository
 * @param folder where the agent works, `root` or below it
 */
export async function readInstructions(root: string, folder: string): Promise<string | undefined> {
  const reader = new Reader(await realpath(root).catch(() => root));
  for (const each of foldersBetween(root, folder)) {
    for (const name of [...names, ...(await ruleFiles(join(each, rules)))]) await reader.add(join(each, name));
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

  /** What is not there, is no text, or is not in the repository is passed over. */
  async add(path: string, depth = 0): Promise<void> {
    const real = await realpath(path).catch(() => undefined);
    if (real === undefined || !real.startsWith(this.#root + sep) || this.#seen.has(real) || this.isFull) return;
    this.#seen.add(real);
    const text = await readText(real, maxLength - this.#length);
    if (text === undefined || text.trim() === '') return;
    this.#length += text.length;
    this.files.push({ path: relative(this.#root, real), text });
    if (depth >= maxImports) return;
    for (const imported of importsIn(text)) await this.add(resolve(dirname(real), imported), depth + 1);
  }
}

/** The paths after `@` that are neither in a block of code nor in a span of it. */
export function importsIn(text: string): string[] {
  const prose = text
    .replace(/^([ \t]*)(```+|~~~+)[^\n]*\n[\s\S]*?(?:^[ \t]*\2[`~]*[ \t]*$|$(?![\s\S]))/gm, '')
    .replace(/(`+)(?!`)[\s\S]*?[^`]\1(?!`)/g, '');
  const found = [...prose.matchAll(/(?:^|\s)@((?:[^\s\\]|\\ )+)/g)].map(([, path = '']) => path.replaceAll('\\ ', ' '));
  return found.filter((path) => !path.startsWith('~')).map((path) => path.replace(/#.*$/, ''));
}

/** From the top of the repository down to the folder. */
function foldersBetween(root: string, folder: string): string[] {
  const steps = relative(root, folder).split(sep).filter(Boolean);
  if (steps[0] === '..') return [root];
  return [root, ...steps.map((_, at) => join(root, ...steps.slice(0, at + 1)))];
}

async function ruleFiles(folder: string): Promise<string[]> {
  const found = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const files = found.filter((entry) => entry.name.endsWith('.md') && !entry.isDirectory());
  return files.map(({ name }) => join(rules, name)).sort();
}

/** `undefined`: no regular file, or none with text. A pipe or a device is not waited for. */
export async function readText(path: string, maxCharacters: number): Promise<string | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW).catch(
    () => undefined,
  );
  if (!file) return undefined;
  try {
    if (!(await file.stat()).isFile()) return undefined;
    // A character has up to four bytes.
    const buffer = Buffer.alloc(Math.min(maxCharacters * 4, (await file.stat()).size));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    const bytes = buffer.subarray(0, bytesRead);
    return bytes.includes(0) ? undefined : bytes.toString('utf8').slice(0, maxCharacters);
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

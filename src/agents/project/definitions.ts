/**
 * Reads a project's agent definitions (`.claude/agents/*.md`), which the CLI then gets as data. Reads only the fields
 * that describe an agent, because hooks, MCP servers and permission modes would change what runs on this host.
 */
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { readFrontMatter } from './front-matter.ts';
import { listFiles, readText, realBelow } from './repository-files.ts';

export type Definition = {
  description: string;
  prompt: string;
  tools?: string[];
  disallowedTools?: string[];
  model?: string;
};

const folderName = join('.claude', 'agents');
const maxDefinitions = 100;
/** The longest part of a file that is read, in characters. */
const maxLength = 100_000;
/** The most that is read of all files together, in characters. */
const maxTotalLength = 500_000;
/** The names that Claude Code accepts. A name that begins with a dash would be a flag. */
const fitName = /^[A-Za-z0-9][\w .:-]{0,99}$/;

/**
 * Returns the definitions by name. A definition in the folder where the agent works replaces a definition of the same
 * name at the top of the repository, as in Claude Code. Leaves out files that cannot be read.
 */
export async function readDefinitions(root: string, folder: string): Promise<Record<string, Definition>> {
  const found: Record<string, Definition> = Object.create(null);
  const top = await realpath(root).catch(() => root);
  let left = maxTotalLength;
  for (const each of new Set([root, folder])) {
    const files = await listFiles(top, join(each, folderName), '.md');
    for (const path of files.slice(0, maxDefinitions)) {
      const real = await realBelow(top, path);
      const text = real && left > 0 ? await readText(real, Math.min(maxLength, left)) : undefined;
      left -= text?.length ?? 0;
      const definition = text === undefined ? undefined : readDefinition(text);
      if (definition) found[definition.name] = definition.definition;
    }
  }
  return found;
}

/** Returns the definition in a text. Returns undefined if there is no valid name, no description or no prompt. */
export function readDefinition(text: string): { name: string; definition: Definition } | undefined {
  const { fields, body } = readFrontMatter(text) ?? { fields: {}, body: '' };
  const { name, description, tools, disallowedTools, model } = fields;
  if (typeof name !== 'string' || !fitName.test(name) || typeof description !== 'string') return undefined;
  // The CLI refuses to start with a definition whose description or prompt is empty.
  if (description === '' || body.trim() === '') return undefined;
  return {
    name,
    definition: {
      description,
      prompt: body.trim(),
      ...(tools === undefined ? {} : { tools: listOf(tools) }),
      ...(disallowedTools === undefined ? {} : { disallowedTools: listOf(disallowedTools) }),
      ...(typeof model === 'string' && model !== '' ? { model } : {}),
    },
  };
}

/** Returns the items of a list, or of a text such as `Read, Grep`. */
function listOf(value: string | string[]): string[] {
  const items = Array.isArray(value) ? value : value.split(',');
  return items.map((item) => item.trim()).filter(Boolean);
}

/**
 * Reads the agent definitions of a project (`.claude/agents/*.md`), which the CLI then gets as data. Only the fields that
 * describe the agent are taken: hooks, MCP servers and permission modes in them would configure the agent on this host.
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
/** Characters of one file, and of all together. */
const maxLength = 100_000;
const maxTotalLength = 500_000;
/** The names that Claude Code takes. One that begins with a dash would be a flag. */
const fitName = /^[A-Za-z0-9][\w .:-]{0,99}$/;

/** By name. The folder where the agent works comes before the top, as in Claude Code. Unreadable files are left out. */
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

/** `undefined`: the text has no front matter with a name and a description. */
export function readDefinition(text: string): { name: string; definition: Definition } | undefined {
  const { fields, body } = readFrontMatter(text) ?? { fields: {}, body: '' };
  const { name, description, tools, disallowedTools, model } = fields;
  if (typeof name !== 'string' || !fitName.test(name) || typeof description !== 'string') return undefined;
  // The CLI refuses to start with a definition that has an empty part.
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

/** The value is a text such as `Read, Grep`, or a list. */
function listOf(value: string | string[]): string[] {
  const items = Array.isArray(value) ? value : value.split(',');
  return items.map((item) => item.trim()).filter(Boolean);
}

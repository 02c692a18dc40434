/**
 * The agent definitions of a project (`.claude/agents/*.md`), handed to the CLI as data. Of each only what describes the
 * agent is taken: hooks, MCP servers and permission modes in them would configure the host's agent.
 */
import { readdir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { readText } from './instructions.ts';

export type Definition = {
  description: string;
  prompt: string;
  tools?: string[];
  disallowedTools?: string[];
  model?: string;
};

const folderName = join('.claude', 'agents');
const maxDefinitions = 200;
const maxCharacters = 100_000;
/** Names that Claude Code takes; one that begins with a dash would be a flag. */
const fitName = /^[A-Za-z0-9][\w .:-]{0,99}$/;

/** By name; later folders win, as the nearer ones do in Claude Code. What cannot be read is left out. */
export async function readDefinitions(root: string, folder: string): Promise<Record<string, Definition>> {
  const found: Record<string, Definition> = Object.create(null);
  const top = await realpath(root).catch(() => root);
  for (const each of new Set([root, folder])) {
    for (const path of await filesIn(join(each, folderName))) {
      const real = await realpath(path).catch(() => '');
      const text = real.startsWith(top + sep) ? await readText(real, maxCharacters) : undefined;
      const definition = text === undefined ? undefined : await readDefinition(text);
      if (definition) found[definition.name] = definition.definition;
    }
  }
  return found;
}

/** `undefined`: the text has no front matter with a name and a description. */
export async function readDefinition(text: string): Promise<{ name: string; definition: Definition } | undefined> {
  const [, head, body = ''] = /^---\r?\n([\s\S]*?)\r?\n---[^\S\n]*(?:\r?\n([\s\S]*))?$/.exec(text) ?? [];
  const fields = head === undefined ? undefined : await parseFields(head);
  const { name, description, tools, disallowedTools, model } = fields ?? {};
  if (typeof name !== 'string' || !fitName.test(name) || typeof description !== 'string') return undefined;
  return {
    name,
    definition: {
      description,
      prompt: body.trim(),
      ...(tools === undefined || tools === null ? {} : { tools: listOf(tools) }),
      ...(disallowedTools === undefined || disallowedTools === null
        ? {}
        : { disallowedTools: listOf(disallowedTools) }),
      ...(typeof model === 'string' ? { model } : {}),
    },
  };
}

async function parseFields(head: string): Promise<Record<string, unknown> | undefined> {
  try {
    // Most projects define no agents, and loading it takes as long as a tenth of the server's start.
    const { parse } = await import('yaml');
    // Aliases can make a small text large.
    const fields: unknown = parse(head, { maxAliasCount: 0 });
    return typeof fields === 'object' && fields !== null ? (fields as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** `Read, Grep` or a list. */
function listOf(value: unknown): string[] {
  const items = Array.isArray(value) ? value : String(value).split(',');
  return items.map((item) => String(item).trim()).filter(Boolean);
}

async function filesIn(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true }).catch(() => []);
  const files = found.filter((name) => name.endsWith('.md')).sort();
  return files.slice(0, maxDefinitions).map((name) => join(folder, name));
}

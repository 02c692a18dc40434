/**
 * Reads the configuration that a repository gives its agents: instructions and agent definitions. The server passes
 * them to the CLI. The CLI itself reads none of the settings, hooks, helpers, variables and MCP servers in the
 * repository.
 */

import type { Folder } from '../agent.ts';
import { serversName } from '../sandbox/homes.ts';
import { type Definition, readDefinitions } from './definitions.ts';
import { readInstructions } from './instructions.ts';

export type Project = {
  /** The instructions of the repository, and notes on its files. */
  instructions: string | undefined;
  definitions: Record<string, Definition>;
  /** Whether the CLI itself reads the configuration of the repository (`TRUST_WORKSPACE`). */
  trusted: boolean;
};

const instructionsFile = 'project-instructions.md';
const definitionsFile = 'project-agents.json';

/** Reads the configuration of a repository, except if the CLI reads it itself. */
export async function readProject(folder: Folder, trusted: boolean): Promise<Project> {
  const notes = notesFor(folder);
  if (trusted || folder.root === undefined) return { instructions: notes, definitions: {}, trusted };
  const [instructions, definitions] = await Promise.all([
    readInstructions(folder.root, folder.path),
    readDefinitions(folder.root, folder.path),
  ]);
  const texts = [instructions, notes].filter((text) => text !== undefined);
  return { instructions: texts.length > 0 ? texts.join('\n\n') : undefined, definitions, trusted };
}

/** Returns a text for the system prompt, so that the agent does not take the state of the files for a fault. */
function notesFor({ fileNotes = [] }: Folder): string | undefined {
  if (fileNotes.length === 0) return undefined;
  return `# The files of this workspace\n\n${fileNotes.map((note) => `- ${note}`).join('\n')}`;
}

/** Returns the files to write into the Claude Code folder of the agent, by name. */
export function projectFiles(project: Project): Record<string, string> {
  return {
    ...(project.instructions === undefined ? {} : { [instructionsFile]: project.instructions }),
    ...(hasDefinitions(project) ? { [definitionsFile]: JSON.stringify(project.definitions) } : {}),
  };
}

/**
 * Returns the flags that make the CLI read the files from `projectFiles`.
 * @param fileAt returns the path at which the agent sees a file of its Claude Code folder
 * @param withInstructions whether a flag passes the instructions; an agent that reads stdin gets them there instead
 * @param withServers whether the Claude Code folder contains a file with the operator's own MCP servers
 */
export function projectFlags(
  project: Project,
  fileAt: (name: string) => string,
  { withInstructions, withServers }: { withInstructions: boolean; withServers: boolean },
): string[] {
  const servers = withServers ? ['--mcp-config', fileAt(serversName)] : [];
  const instructions = withInstructions && project.instructions !== undefined;
  return [
    ...(project.trusted ? servers : ['--setting-sources', 'user', '--strict-mcp-config', ...servers]),
    ...(hasDefinitions(project) ? ['--agents', fileAt(definitionsFile)] : []),
    ...(instructions ? ['--append-system-prompt-file', fileAt(instructionsFile)] : []),
  ];
}

function hasDefinitions({ definitions }: Project): boolean {
  return Object.keys(definitions).length > 0;
}

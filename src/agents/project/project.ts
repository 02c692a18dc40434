/**
 * What of a repository reaches an agent that works in it. Its settings, hooks, helpers, variables and MCP servers do not:
 * the CLI reads none of them. Its instructions and its agent definitions do: the server reads them and hands them over.
 */

import type { Folder } from '../agent.ts';
import { serversName } from '../sandbox/homes.ts';
import { type Definition, readDefinitions } from './definitions.ts';
import { readInstructions } from './instructions.ts';

export type Project = { instructions: string | undefined; definitions: Record<string, Definition> };

const instructionsFile = 'project-instructions.md';
const definitionsFile = 'project-agents.json';

/** `undefined`: the operator trusts the workspace (`TRUST_WORKSPACE`), and the CLI reads all of it by itself. */
export async function readProject(folder: Folder, trusted: boolean): Promise<Project | undefined> {
  if (trusted) return undefined;
  if (folder.root === undefined) return { instructions: undefined, definitions: {} };
  const [instructions, definitions] = await Promise.all([
    readInstructions(folder.root, folder.path),
    readDefinitions(folder.root, folder.path),
  ]);
  return { instructions, definitions };
}

/** The files by which the CLI is given it, for the agent's Claude Code folder. */
export function projectFiles(project: Project | undefined): Record<string, string> {
  if (!project) return {};
  return {
    ...(project.instructions === undefined ? {} : { [instructionsFile]: project.instructions }),
    ...(hasDefinitions(project) ? { [definitionsFile]: JSON.stringify(project.definitions) } : {}),
  };
}

/**
 * @param fileAt where the agent finds a file of its Claude Code folder
 * @param withInstructions whether a flag hands over the instructions; over stdin they go with the first turn
 * @param withServers whether the operator's own MCP servers are in a file of that folder
 */
export function projectFlags(
  project: Project | undefined,
  fileAt: (name: string) => string,
  { withInstructions, withServers }: { withInstructions: boolean; withServers: boolean },
): string[] {
  const servers = withServers ? ['--mcp-config', fileAt(serversName)] : [];
  if (!project) return servers;
  const instructions = withInstructions && project.instructions !== undefined;
  return [
    ...['--setting-sources', 'user', '--strict-mcp-config', ...servers],
    ...(hasDefinitions(project) ? ['--agents', fileAt(definitionsFile)] : []),
    ...(instructions ? ['--append-system-prompt-file', fileAt(instructionsFile)] : []),
  ];
}

function hasDefinitions({ definitions }: Project): boolean {
  return Object.keys(definitions).length > 0;
}

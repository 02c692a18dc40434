/**
 * The configuration of a repository that an agent in it gets: its instructions and its agent definitions, which the server
 * reads and passes to the CLI. The CLI reads none of the repository's settings, hooks, helpers, variables and MCP servers.
 */

import type { Folder } from '../agent.ts';
import { serversName } from '../sandbox/homes.ts';
import { type Definition, readDefinitions } from './definitions.ts';
import { readInstructions } from './instructions.ts';

export type Project = { instructions: string | undefined; definitions: Record<string, Definition> };

const instructionsFile = 'project-instructions.md';
const definitionsFile = 'project-agents.json';

/** `undefined`: the operator trusts the workspace (`TRUST_WORKSPACE`), and the CLI reads its configuration itself. */
export async function readProject(folder: Folder, trusted: boolean): Promise<Project | undefined> {
  if (trusted) return undefined;
  if (folder.root === undefined) return { instructions: undefined, definitions: {} };
  const [instructions, definitions] = await Promise.all([
    readInstructions(folder.root, folder.path),
    readDefinitions(folder.root, folder.path),
  ]);
  return { instructions, definitions };
}

/** The files for the agent's Claude Code folder, by name. */
export function projectFiles(project: Project | undefined): Record<string, string> {
  if (!project) return {};
  return {
    ...(project.instructions === undefined ? {} : { [instructionsFile]: project.instructions }),
    ...(hasDefinitions(project) ? { [definitionsFile]: JSON.stringify(project.definitions) } : {}),
  };
}

/**
 * The flags with which the CLI reads these files.
 * @param fileAt the path of a file of the Claude Code folder, as the agent sees it
 * @param withInstructions whether a flag passes the instructions; over stdin they go with the first message
 * @param withServers whether that folder has a file with the operator's own MCP servers
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

/**
 * Reads the configuration that a repository gives its agents: instructions and agent definitions. The server passes
 * them to the CLI. The CLI itself reads none of the settings, hooks, helpers, variables and MCP servers in the
 * repository.
 */

import type { Folder } from '../agent.ts';
import { serversName } from '../sandbox/homes.ts';
import { type Definition, readDefinitions } from './definitions.ts';
import { readInstructions } from './instructions.ts';

export type Project = { instructions: string | undefined; definitions: Record<string, Definition> };

const instructionsFile = 'project-instructions.md';
const definitionsFile = 'project-agents.json';

/**
 * Reads the configuration of a repository. Returns undefined if the operator trusts the workspace (`TRUST_WORKSPACE`),
 * because the CLI then reads the configuration itself.
 */
export async function readProject(folder: Folder, trusted: boolean): Promise<Project | undefined> {
  if (trusted) return undefined;
  if (folder.root === undefined) return { instructions: undefined, definitions: {} };
  const [instructions, definitions] = await Promise.all([
    readInstructions(folder.root, folder.path),
    readDefinitions(folder.root, folder.path),
  ]);
  return { instructions, definitions };
}

/** Returns the files to write into the Claude Code folder of the agent, by name. */
export function projectFiles(project: Project | undefined): Record<string, string> {
  if (!project) return {};
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

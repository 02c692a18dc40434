/** What the CLI leaves behind for every folder that it worked in, which would pile up: each run has a folder of its own. */
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Removes the CLI's own folder for `cwd`, if it is empty: a transcript or a memory in it is kept. Never rejects. */
export async function removeTraces(cwd: string, host: Record<string, string | undefined>): Promise<void> {
  const config = host['CLAUDE_CONFIG_DIR'] ?? (host['HOME'] && join(host['HOME'], '.claude'));
  if (!config) return;
  // Named after the path, with a dash for whatever is no letter or digit (seen on 2.1.329).
  const folder = join(config, 'projects', cwd.replace(/[^A-Za-z0-9]/g, '-'));
  for (const each of [join(folder, 'memory'), folder]) await rmdir(each).catch(() => {});
}

/** The version of a command is checked again when the command is replaced while the server runs. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createVersionCheck, minimumVersion } from '../../src/agents/cli-version.ts';
import { hostEnvironment } from '../../src/config/config.ts';
import { scratchFolder } from '../support/fake-model-agent.ts';

test('a command that is replaced by an older one is refused, and accepted when it is new enough again', async (t) => {
  const command = join(await scratchFolder(t), 'claude');
  const install = (version: string) => {
    writeFileSync(`${command}.new`, `#!/bin/sh\necho "${version} (Claude Code)"\n`, { mode: 0o755 });
    renameSync(`${command}.new`, command);
  };
  const check = createVersionCheck(hostEnvironment());
  install('2.1.329');
  await check(command);
  install('2.1.258');
  await assert.rejects(check(command), { code: 'agent_not_started', message: new RegExp(`needs ${minimumVersion}`) });
  await assert.rejects(check(command), { code: 'agent_not_started' });
  install('2.1.330');
  await check(command);
});

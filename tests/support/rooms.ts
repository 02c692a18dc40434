/** Rooms for agents without a sandbox, in a scratch folder. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Containment } from '../../src/agents/sandbox/containment.ts';
import { createRooms, type RoomSettings, type Rooms } from '../../src/agents/sandbox/rooms.ts';
import type { Environment } from '../../src/config/config.ts';
import { scratchFolder } from './fake-model-agent.ts';

export async function openRooms(
  t: TestContext,
  host: Environment,
  containment: Containment = { kind: 'none' },
  more: Partial<RoomSettings> = {},
): Promise<Rooms> {
  const homesFolder = join(await scratchFolder(t), 'homes');
  await mkdir(homesFolder);
  const settings = { containment, host, homesFolder, extra: [], reads: [], hides: [], importSettings: false };
  return createRooms({ ...settings, onProblem: (what, error) => t.diagnostic(`${what}: ${error}`), ...more });
}

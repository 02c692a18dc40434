/** The fake model in a process of its own, so that its CPU time is not counted for others. It ends when its stdin ends. */
import { startFakeModel } from '../../src/fake-model/fake-model.ts';

const model = await startFakeModel({ remember: 1 });
process.stdout.write(`listens on ${model.url}\n`);
process.stdin.once('end', () => process.exit()).resume();

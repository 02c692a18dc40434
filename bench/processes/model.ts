/** The fake model as a process of its own, so that its work is nobody else's CPU time. Ends when its stdin does. */
import { startFakeModel } from '../../src/fake-model/fake-model.ts';

const model = await startFakeModel({ remember: 1 });
process.stdout.write(`listens on ${model.url}\n`);
process.stdin.once('end', () => process.exit()).resume();

/** A program for a small disk: collects and delivers the work of a run while the disk is full, and then makes room. */
import { runOnFullDisk } from './small-disk.ts';

const { run, makeRoom, finish } = await runOnFullDisk(process.argv[2] ?? '');
const collected = await run.collect();
const delivered = await run.deliver({ branch: 'agent/run', message: 'x' });
makeRoom();
await run.release();
const { applies } = await finish();
console.log(JSON.stringify({ collected, delivered, applies }));

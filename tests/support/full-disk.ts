/** A program for a small disk: fills it while a run ends, makes room again, and prints what is left of the run. */
import { runOnFullDisk } from './small-disk.ts';
import { waitUntil } from './wait-until.ts';

let problem = false;
const { run, makeRoom, finish } = await runOnFullDisk(process.argv[2] ?? '', () => {
  problem = true;
});
await run.release();
await waitUntil('the disposal has failed', () => problem);
makeRoom();
console.log(JSON.stringify({ problem, ...(await finish()) }));

/** Reports which runs a worker holds, and returns which of these runs it has lost or must stop. */
import type { Store } from './change.ts';
import type { HeartbeatAnswer } from './job-store.ts';
import type { Claim, RunKind } from './stored-run.ts';

export async function heartbeat({ engine }: Store, kind: RunKind, claims: Claim[]): Promise<HeartbeatAnswer> {
  await engine.heartbeat(kind, claims);
  const now = engine.clock.now();
  const rows = await engine.database.query(
    `SELECT id, attempt, cancel_requested_at, wait_until FROM agent_jobs
     WHERE worker = $1 AND kind = $2 AND state = 'running'`,
    [engine.worker, kind],
  );
  const held = rows.map((row) => {
    const clientGone = kind === 'chat' && Number(row['wait_until']) < now;
    const stop = clientGone || row['cancel_requested_at'] !== null;
    return { claim: { id: String(row['id']), attempt: Number(row['attempt']) }, stop };
  });
  const find = ({ id, attempt }: Claim) => held.find(({ claim }) => claim.id === id && claim.attempt === attempt);
  return {
    lost: claims.filter((claim) => !find(claim)),
    toStop: claims.filter((claim) => find(claim)?.stop),
    unknown: held.map(({ claim }) => claim).filter(({ id }) => !claims.some((claim) => claim.id === id)),
  };
}

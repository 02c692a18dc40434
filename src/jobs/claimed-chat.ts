/** Runs a chat request that another machine has put into the store and this machine has claimed. */
import { ServiceError } from '../errors.ts';
import type { Release } from '../releases.ts';
import { type RunEnd, shutdownError } from '../runs/run.ts';
import type { ChatClaim, ChatEnd, ChatStore } from '../store/chat-store.ts';
import type { Claim } from '../store/stored-run.ts';
import type { ExecuteTask } from './claimed-job.ts';
import { ClaimedRun } from './claimed-run.ts';

/** No limit is needed here: `agents/` limits what an agent may print. */
const unbounded = { maxEvents: Number.POSITIVE_INFINITY, maxBytes: Number.POSITIVE_INFINITY };

/**
 * Starts the run.
 * @param slot the slot of the run, which is released at its end
 */
export function startClaimedChat(
  { id, attempt, task, lastSeq }: ChatClaim,
  slot: Release,
  { chats, execute }: { chats: ChatStore; execute: ExecuteTask },
): ClaimedRun {
  const claim: Claim = { id, attempt };
  return new ClaimedRun({
    claim,
    lastSeq,
    bounds: unbounded,
    append: (lastSeq, batch) => chats.appendEvents(claim, lastSeq, batch),
    reasons: {
      cancelled: new ServiceError('client_gone'),
      stopping: shutdownError,
      lost: new ServiceError('interrupted', 'Cannot finish the run: it was given to another worker'),
    },
    work: (context) => execute(task, { ...context, slot, settle: 'after_release' }),
    write: (end) => chats.finish(claim, chatEnd(end)),
  });
}

function chatEnd(end: RunEnd): ChatEnd {
  if (end.state === 'succeeded') return { outcome: end.outcome };
  const { code, message, extra } = end.error;
  const { cause: _, ...facts } = extra;
  return { failure: { code, message, extra: facts } };
}

/** Tells the callback URLs of ended jobs, and goes on trying, also after a restart. */

import type { CallbackReport, JobRecord } from '../store/job.ts';
import type { JobStore } from '../store/job-store.ts';
import type { Owner } from '../task.ts';
import { sendCallback } from './request.ts';

export type CallbackOptions = {
  store: JobStore;
  /** What the callbacks of this owner's jobs are signed with. */
  secretOf(owner: Owner): string;
  allowPrivate: boolean;
  /** The final record as clients know it. */
  render(job: JobRecord): unknown;
  onAttempt(job: JobRecord, report: CallbackReport): void;
  onError(error: unknown): void;
  /** Waits before the second and further attempts, in milliseconds; after the last one it is given up. */
  waitsMs?: number[];
  /** How often it is looked for callbacks that are due, in milliseconds. */
  everyMs?: number;
};

export type Callbacks = {
  /** Looks for callbacks that are due, now. */
  round(): Promise<void>;
  /** Settles when no attempt is under way. */
  stop(): Promise<void>;
};

const seconds = 1000;
const minutes = 60 * seconds;
const growingWaits = [5 * seconds, 30 * seconds, 2 * minutes, 10 * minutes, 30 * minutes, 60 * minutes, 240 * minutes];
const atOnce = 8;
/** Longer than an attempt can take: then the process that made it is gone. */
const leaseMs = 60 * seconds;

export function startCallbacks(options: CallbackOptions): Callbacks {
  let current: Promise<void> | undefined;
  let stopped = false;

  async function work(): Promise<void> {
    try {
      for (;;) {
        const due = await options.store.takeCallbacks(atOnce, leaseMs);
        await Promise.all(due.map((job) => deliver(options, job)));
        if (due.length < atOnce) return;
      }
    } catch (error) {
      options.onError(error);
    }
  }

  const round = async (): Promise<void> => {
    if (stopped) return;
    current ??= work().finally(() => {
      current = undefined;
    });
    await current;
  };
  const timer = setInterval(round, options.everyMs ?? 1000);
  const off = options.store.notifications.on('ended', () => {
    // Not only the round that is under way: it may have looked before this job ended.
    void Promise.resolve(current).then(round);
  });

  return {
    round,
    async stop() {
      off();
      clearInterval(timer);
      stopped = true;
      await current;
    },
  };
}

async function deliver(options: CallbackOptions, job: JobRecord): Promise<void> {
  const attempts = (job.callback?.attempts ?? 0) + 1;
  const result = await attempt(options, job);
  const report = reportOf(result, attempts, options.waitsMs ?? growingWaits);
  await options.store.recordCallback(job.id, report);
  options.onAttempt(job, report);
}

type Attempted = { status?: number; detail?: string };

async function attempt({ secretOf, allowPrivate, render }: CallbackOptions, job: JobRecord): Promise<Attempted> {
  try {
    const body = JSON.stringify(render(job));
    const secret = secretOf(job.owner);
    const status = await sendCallback({ url: job.callbackUrl ?? '', id: job.id, body, secret, allowPrivate });
    return status >= 200 && status < 300 ? { status } : { status, detail: `the receiver answered ${status}` };
  } catch (error) {
    return { detail: (error as Error).message };
  }
}

function reportOf({ status, detail }: Attempted, attempts: number, waitsMs: number[]): CallbackReport {
  const tried = { attempts, ...(status !== undefined && { status }), ...(detail !== undefined && { detail }) };
  if (detail === undefined) return { state: 'delivered', deliveredAt: Date.now(), ...tried };
  const waitMs = waitsMs[attempts - 1];
  // 410 is the receiver's way to say that it wants no more.
  if (waitMs === undefined || status === 410) return { state: 'gave_up', ...tried };
  return { state: 'pending', nextAttemptAt: Date.now() + waitMs, ...tried };
}

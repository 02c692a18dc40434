/** Sends the webhooks of ended jobs, and retries failed webhooks after growing waits, even after a restart. */
import type { JobRecord, WebhookReport } from '../store/job.ts';
import type { JobStore } from '../store/job-store.ts';
import type { Owner } from '../task.ts';
import { sendWebhook } from './send-webhook.ts';

export type WebhookOptions = {
  store: JobStore;
  /** Returns the secret that signs the webhooks of this owner's jobs. */
  secretOf(owner: Owner): string;
  /** Whether webhooks may go to private, loopback and link-local addresses. */
  allowPrivate: boolean;
  /** Returns the final record as clients see it. Its JSON is the body of the webhook. */
  render(job: JobRecord): unknown;
  /** Called after every attempt, once the attempt is recorded. */
  onAttempt(job: JobRecord, report: WebhookReport): void;
  /** Called when the store fails. The server tries again at its next check for due webhooks. */
  onError(error: unknown): void;
  /**
   * The waits before the second and the further attempts, in milliseconds. The server gives up if the attempt after the
   * last wait fails.
   */
  waitsMs?: number[];
  /** The time between two checks for due webhooks, in milliseconds. */
  everyMs?: number;
};

export type Webhooks = {
  /** Stops sending webhooks. Settles when the attempts that have begun are recorded. */
  stop(): Promise<void>;
};

const seconds = 1000;
const minutes = 60 * seconds;
const growingWaits = [5 * seconds, 30 * seconds, 2 * minutes, 10 * minutes, 30 * minutes, 60 * minutes, 240 * minutes];
const atOnce = 8;
/**
 * How long a webhook that one process has taken is not given to another, in milliseconds. This is longer than an
 * attempt can take, so if it ends without a report, the process that made the attempt is gone.
 */
const leaseMs = 20 * seconds;

export function startWebhooks(options: WebhookOptions): Webhooks {
  let current: Promise<void> | undefined;
  let stopped = false;

  async function sendAllDue(): Promise<void> {
    try {
      for (;;) {
        const due = await options.store.takeDueWebhooks(atOnce, leaseMs);
        await Promise.all(due.map((job) => deliver(options, job)));
        if (due.length < atOnce) return;
      }
    } catch (error) {
      options.onError(error);
    }
  }

  const sendDue = async (): Promise<void> => {
    if (stopped) return;
    current ??= sendAllDue().finally(() => {
      current = undefined;
    });
    await current;
  };
  const timer = setInterval(sendDue, options.everyMs ?? 1000);
  const off = options.store.notifications.on('ended', () => {
    // The current check may have read the store before this job ended, so another check follows.
    void Promise.resolve(current).then(sendDue);
  });

  return {
    async stop() {
      off();
      clearInterval(timer);
      stopped = true;
      await current;
    },
  };
}

async function deliver(options: WebhookOptions, job: JobRecord): Promise<void> {
  const attempts = (job.callback?.attempts ?? 0) + 1;
  const result = await attempt(options, job);
  const report = reportOf(result, attempts, options.waitsMs ?? growingWaits, options.store.now());
  await options.store.recordWebhook(job.id, report);
  options.onAttempt(job, report);
}

/** `detail` says why the attempt failed. It is undefined if the attempt succeeded. */
type AttemptResult = { status?: number; detail?: string };

async function attempt({ secretOf, allowPrivate, render }: WebhookOptions, job: JobRecord): Promise<AttemptResult> {
  try {
    const body = JSON.stringify(render(job));
    const secret = secretOf(job.owner);
    const status = await sendWebhook({ url: job.callbackUrl ?? '', id: job.id, body, secret, allowPrivate });
    return status >= 200 && status < 300 ? { status } : { status, detail: `the receiver answered ${status}` };
  } catch (error) {
    return { detail: (error as Error).message };
  }
}

function reportOf({ status, detail }: AttemptResult, attempts: number, waitsMs: number[], now: number): WebhookReport {
  const facts = { attempts, ...(status !== undefined && { status }), ...(detail !== undefined && { detail }) };
  if (detail === undefined) return { state: 'delivered', deliveredAt: now, ...facts };
  const waitMs = waitsMs[attempts - 1];
  // In the Standard Webhooks specification, a receiver answers 410 if it wants no more webhooks.
  if (waitMs === undefined || status === 410) return { state: 'gave_up', ...facts };
  return { state: 'pending', nextAttemptAt: now + waitMs, ...facts };
}

/** A client for the job API of a running server. Every function throws a `CommandFailure` if it fails. */
import type { JobJson, ListedJobJson } from '../../api/jobs/render-job.ts';
import { CommandFailure, type ExitStatus, exitStatus } from './exit-status.ts';

export type Submitted = Pick<JobJson, 'job_id' | 'status' | 'position' | 'expected_wait_seconds'>;

export type JobClient = {
  /** @param body the request body of `POST /execute` */
  submit(body: Record<string, unknown>, idempotencyKey: string | undefined, signal: AbortSignal): Promise<Submitted>;
  job(id: string): Promise<JobJson>;
  list(query: Record<string, string>): Promise<{ jobs: ListedJobJson[]; next_cursor: string | null }>;
  cancel(id: string): Promise<{ status: string; result: 'never_started' | 'stopping' }>;
  /** `omitted` says what the patch does not hold. */
  diff(id: string): Promise<{ patch: string; omitted: string | undefined }>;
  /**
   * Returns a response whose body is the stream of the events after number `after`. Returns `undefined` if there are no
   * more events.
   */
  events(id: string, after: number, signal: AbortSignal): Promise<Response | undefined>;
};

/** The time limit of every request except an event stream, in milliseconds. */
const deadlineMs = 60_000;

export function createJobClient(url: string, key: string): JobClient {
  const base = url.replace(/\/+$/, '');

  async function request(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${key}`, ...(init.headers as Record<string, string>) };
    const signal = init.signal ?? AbortSignal.timeout(deadlineMs);
    const response = await fetch(base + path, { ...init, method, headers, signal }).catch((error: unknown) => {
      throw unreachable(base, error);
    });
    if (!response.ok) throw await refusalOf(response);
    return response;
  }

  async function requestJson<T>(method: string, path: string, init?: RequestInit): Promise<T> {
    const response = await request(method, path, init);
    try {
      return (await response.json()) as T;
    } catch (error) {
      if (error instanceof SyntaxError)
        throw new CommandFailure(
          exitStatus.unavailable,
          `${base} is not a claude-agent-server: its answer is not JSON`,
        );
      throw unreachable(base, error);
    }
  }

  return {
    submit(body, idempotencyKey, signal) {
      const headers = {
        'content-type': 'application/json',
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      };
      const ended = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
      return requestJson('POST', '/execute', { headers, body: JSON.stringify(body), signal: ended });
    },
    job: (id) => requestJson('GET', pathOf(id)),
    list: (query) => requestJson('GET', `/jobs?${new URLSearchParams(query)}`),
    cancel: (id) => requestJson('DELETE', pathOf(id)),
    async diff(id) {
      const response = await request('GET', `${pathOf(id)}/diff`);
      return { patch: await response.text(), omitted: response.headers.get('x-patch-omitted') ?? undefined };
    },
    async events(id, after, signal) {
      const headers = { 'last-event-id': String(after), accept: 'text/event-stream' };
      const response = await request('GET', `${pathOf(id)}/events`, { headers, signal });
      return response.status === 204 ? undefined : response;
    },
  };
}

function pathOf(id: string): string {
  return `/jobs/${encodeURIComponent(id)}`;
}

function unreachable(base: string, error: unknown): CommandFailure {
  const { name, message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  const reason =
    name === 'TimeoutError' ? `no answer within ${deadlineMs / 1000} s` : (cause?.code ?? cause?.message ?? message);
  return new CommandFailure(exitStatus.unavailable, `Cannot reach the server at ${base}: ${reason}`);
}

/** Returns an error with the reason that the server gives and the exit status for this reason. */
async function refusalOf(response: Response): Promise<CommandFailure> {
  const text = await response.text().catch(() => '');
  const retryAfter = response.headers.get('retry-after');
  const retry = retryAfter ? `; retry in ${retryAfter} s` : '';
  return new CommandFailure(statusOf(response.status), `${reasonIn(text) ?? `HTTP ${response.status}`}${retry}`);
}

function reasonIn(text: string): string | undefined {
  try {
    const { error, detail, supported } = JSON.parse(text) as {
      error?: unknown;
      detail?: unknown;
      supported?: string[];
    };
    if (Array.isArray(supported)) return `${error}: there are ${supported.join(', ')}`;
    return typeof detail === 'string' ? detail : undefined;
  } catch {
    return undefined;
  }
}

function statusOf(status: number): ExitStatus {
  if (status === 429 || status >= 500) return exitStatus.unavailable;
  return status === 409 ? exitStatus.failed : exitStatus.usage;
}

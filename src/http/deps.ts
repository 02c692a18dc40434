/** What the edge is given: its settings, the service behind it, and where to tell what happens. */

import type { DoorSettings } from '../api/doors.ts';
import type { ModelSettings } from '../api/models.ts';
import type { ServiceError } from '../errors.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { RunOptions } from '../runs/execute.ts';
import type { Outcome, Owner, Task } from '../task.ts';

/** Settings under their names in the configuration. */
export type HttpSettings = ModelSettings &
  DoorSettings & {
    chatAgent: string | undefined;
    chatBudgetUsd: number;
    chatTimeoutSeconds: number;
    bodyLimitBytes: number;
    jsonAnswerSeconds: number;
    streamKeepAlive: 'chunk' | 'comment' | 'off';
    streamKeepAliveSeconds: number;
    slowReaderSeconds: number;
    clientGraceSeconds: number;
    repeatWindowSeconds: number;
    ignoredParams: 'accept' | 'reject';
    corsOrigins: string[];
  };

/** As told by `/health`. */
export type ServiceState = { busy: boolean; active: number; queued: number; capacity: number };

/** One answered request. */
export type Answered = {
  requestId: string;
  method: string;
  /** Without its query. */
  path: string;
  status: number;
  durationMs: number;
  /** The client went away before it had all of the answer. */
  unfinished?: boolean;
  /** The code of the error that was answered. */
  error?: string;
  traceparent?: string;
  /** Of a request that asks for a run. */
  runId?: string;
  model?: string;
  stream?: boolean;
  /** It joined, or was answered by, a run that another request had started. */
  repeat?: boolean;
  ignoredParams?: string[];
  /** The caller's own name for its user. */
  user?: string;
};

export type HttpLog = {
  answered(entry: Answered): void;
  /** Something threw that nobody expected; the client was told `internal`. */
  fault(entry: { requestId: string; error: unknown }): void;
};

/** What the job routes ask of the jobs. */
export type JobDesk = Pick<Jobs, 'submit' | 'get' | 'list' | 'cancel' | 'events' | 'patch' | 'callbackSecret'>;

export type ServerDeps = {
  settings: HttpSettings;
  /**
   * Who sends one of these is let in; with none but empty ones nothing but `/health` is open. The first one is the
   * operator's, who sees the jobs of all.
   */
  keys: string[];
  version: string;
  run(task: Task, options: RunOptions): Promise<Outcome>;
  /**
   * Why a JSON Schema cannot be compiled; `undefined`: it can be. Throws `schemas_waiting`, `shutting_down`, and
   * `client_gone` when `signal` aborts.
   */
  schemaProblem(owner: Owner, json: string, signal: AbortSignal): Promise<string | undefined>;
  /** Absent: this server takes no jobs. */
  jobs?: JobDesk;
  state(): ServiceState;
  /** Why the server cannot take work; `undefined`: it can. */
  notReady(): Promise<ServiceError | undefined>;
  /** In the text format of Prometheus. */
  metrics(): Promise<{ contentType: string; text: string }>;
  log: HttpLog;
};

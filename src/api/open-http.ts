/** Creates the HTTP server with all routes: the APIs, models, jobs, health, and the description of all of them. */

import { type HealthDeps, healthRoutes } from '../http/health.ts';
import { createServer, type HttpLog, type HttpServer } from '../http/server.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { RunTask } from '../runs/choose-machine.ts';
import type { Repeats } from '../runs/repeats.ts';
import type { Owner } from '../task.ts';
import type { AnyApi } from './api.ts';
import { apiAt, hintFor } from './apis.ts';
import type { EventStreamSettings } from './jobs/job-event-stream.ts';
import { jobOperations, jobRoutes } from './jobs/job-routes.ts';
import { jobRequestShape } from './jobs/read-job-request.ts';
import { createModels, type ModelSettings, modelRoutes } from './models.ts';
import { errorBody } from './native/error-body.ts';
import { chatOperations, openapiRoutes, serverOperations } from './openapi.ts';
import { type AnswerDeps, type AnswerSettings, answerRoutes } from './serve-api.ts';

/** Settings, with the names that they have in the configuration. */
export type HttpApiSettings = ModelSettings &
  AnswerSettings &
  EventStreamSettings & {
    bodyLimitBytes: number;
    corsOrigins: string[];
    host: string;
    allowedHosts: string[];
    maxBudgetUsd: number;
    callbackAllowPrivate: boolean;
  };

export type HttpApiDeps = HealthDeps &
  Pick<AnswerDeps, 'schemaProblem'> & {
    settings: HttpApiSettings;
    apis: AnyApi[];
    /** The accepted API keys. */
    keys: string[];
    /** The owner of the operator's key, who sees the jobs of all owners. Undefined if there is no such key. */
    operator: Owner | undefined;
    run: RunTask;
    repeats: Repeats;
    refusal: AnswerDeps['refusal'];
    jobs: Jobs;
    /** See `JobRoutesDeps`. */
    undeliverable(): Promise<string | undefined>;
    log: HttpLog;
  };

export function createHttpApi(deps: HttpApiDeps): HttpServer {
  const { settings, apis, run, repeats, refusal, schemaProblem, jobs, operator, log } = deps;
  const models = createModels(settings, Math.floor(Date.now() / 1000));
  const shape = jobRequestShape({
    maxBudgetUsd: settings.maxBudgetUsd,
    allowPrivateCallbacks: settings.callbackAllowPrivate,
  });
  const onBroken: AnswerDeps['onBroken'] = (request, error) => log.fault({ requestId: request.id, error });
  return createServer({
    settings,
    keys: deps.keys,
    addRoutes(server) {
      for (const api of apis)
        answerRoutes(server, api, { settings, models, run, repeats, refusal, schemaProblem, onBroken });
      for (const base of new Set(apis.flatMap(({ bases }) => bases))) {
        modelRoutes(server, base, apis.find(({ bases }) => bases.includes(base))?.error ?? errorBody, models);
      }
      const { undeliverable } = deps;
      jobRoutes(server, { jobs, models, shape, operator, undeliverable, settings, onBroken });
      healthRoutes(server, deps);
      const operations = () => [...chatOperations(apis), ...jobOperations(shape), ...serverOperations];
      openapiRoutes(server, deps.version, operations);
    },
    errorBodyAt: (path) => apiAt(apis, path)?.error ?? errorBody,
    hintFor,
    log,
  });
}

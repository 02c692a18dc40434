/** The routes of jobs: submit, look up, list, follow, cancel, collect the changes. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { invalidField, ServiceError } from '../../errors.ts';
import type { JsonBody } from '../../http/json-body.ts';
import { headerText } from '../../http/replies.ts';
import { type Jobs, type JobView, noSuchJob } from '../../jobs/jobs.ts';
import type { Owner } from '../../task.ts';
import { mapInTurns } from '../../waits.ts';
import { idempotencyKeyOf } from '../idempotency-key.ts';
import type { Models } from '../models.ts';
import type { Operation } from '../openapi.ts';
import { type EventStreamSettings, JobEventStreams } from './job-event-stream.ts';
import { isJobId, listQueryShape, readAfter, readListQuery } from './read-job-query.ts';
import { type JobRequestShape, readJobRequest } from './read-job-request.ts';
import { renderJob, renderListedJob, renderQueuePosition } from './render-job.ts';

export type JobRoutesDeps = {
  jobs: Pick<Jobs, 'submit' | 'checkRoom' | 'get' | 'list' | 'cancel' | 'events' | 'patch' | 'webhookSecret'>;
  models: Models;
  shape: JobRequestShape;
  /** The owner of the operator's key, who sees the jobs of all owners. Undefined if there is no such key. */
  operator: Owner | undefined;
  /** Returns why the work of a job could not be delivered as a branch. Undefined if this is not known here. */
  undeliverable(): Promise<string | undefined>;
  settings: EventStreamSettings;
  /** Called with an error that broke off a stream. */
  onBroken(request: FastifyRequest, error: unknown): void;
};

type ForJob = { Params: { id: string } };

export function jobRoutes(server: FastifyInstance, deps: JobRoutesDeps): void {
  const { jobs, operator } = deps;
  const visible = new VisibleJobs(jobs, operator);

  // A repeat of a request gets its job also while the queue is full.
  const refuseEarly = async (request: FastifyRequest) => {
    if (idempotencyKeyOf(request) === undefined) await jobs.checkRoom(request.owner);
  };
  server.post('/execute', { config: { refuseEarly } }, async (request, reply) => {
    const jobRequest = readJobRequest((request.body as JsonBody | undefined)?.value, {
      shape: deps.shape,
      models: deps.models,
      owner: request.owner,
      isOperator: request.owner === operator,
      idempotencyKey: idempotencyKeyOf(request),
    });
    request.freeBody();
    const undeliverable = jobRequest.deliver && (await deps.undeliverable());
    if (undeliverable) throw invalidField('deliver', `there is nothing to push to: ${undeliverable}`);
    const { job, created } = await jobs.submit(jobRequest);
    request.facts = { ...request.facts, runId: job.id, model: job.model, ...(created ? {} : { repeat: true }) };
    if (!created) reply.header('x-repeat', `the job ${job.id}; a new Idempotency-Key makes another job`);
    return reply
      .code(202)
      .header('location', `/jobs/${job.id}`)
      .send({ job_id: job.id, status: job.state, ...renderQueuePosition(job) });
  });

  server.get('/jobs', { config: { query: Object.keys(listQueryShape.shape) } }, async (request, reply) => {
    const filter = readListQuery(request.query);
    const { jobs: page, nextCursor } = await jobs.list({ ...filter, ...visible.filterFor(request) });
    const rendered = await mapInTurns(page, (job) =>
      JSON.stringify({ ...renderListedJob(job), ...visible.ownerOf(job, request) }),
    );
    const json = `{"jobs":[${rendered.join(',')}],"next_cursor":${JSON.stringify(nextCursor ?? null)}}`;
    return reply.type('application/json; charset=utf-8').send(json);
  });

  server.get<ForJob>('/jobs/:id', async (request) => renderJob(await visible.find(request)));

  server.get<ForJob>('/jobs/:id/diff', async (request, reply) => {
    const job = await visible.find(request);
    const patch = await jobs.patch(job.id);
    if (patch === undefined) throw noPatch(job);
    // An incomplete patch looks like a whole one, so the answer says what is missing.
    if (job.workspace?.patchOmitted) reply.header('x-patch-omitted', headerText(job.workspace.patchOmitted));
    return reply.type('text/x-diff; charset=utf-8').send(patch);
  });

  server.delete<ForJob>('/jobs/:id', async (request) => {
    const { id } = await visible.find(request);
    const { result, job } = await jobs.cancel(id);
    return { job_id: id, status: job.state, result };
  });

  // Every key gets only its own secret, even the operator's key: whoever has a secret can forge webhooks.
  server.get('/callback-secret', async (request, reply) => {
    reply.header('cache-control', 'no-store');
    return { secret: jobs.webhookSecret(request.owner) };
  });

  eventRoute(server, deps, visible);
}

function eventRoute(server: FastifyInstance, deps: JobRoutesDeps, visible: VisibleJobs): void {
  const streams = new JobEventStreams(deps.jobs, deps.settings);
  server.addHook('preClose', async () => streams.endAll());

  // There is no HEAD route: its answer would be a stream that nobody reads.
  const options = { exposeHeadRoute: false, config: { query: ['after'] } };
  server.get<ForJob>('/jobs/:id/events', options, async (request, reply): Promise<FastifyReply> => {
    const after = readAfter(request.headers['last-event-id'], request.query);
    const job = await visible.find(request);
    // A browser reconnects whenever a stream ends. Status 204 tells it to stop, because there is nothing more to read.
    if (after > 0 && after >= job.lastSeq && job.finishedAt !== undefined) return reply.code(204).send();
    await streams.send(reply, job.id, after).catch((error: unknown) => deps.onBroken(request, error));
    return reply;
  });
}

/** Finds the jobs that a request may see: those of its own key, or all jobs with the operator's key. */
class VisibleJobs {
  readonly #jobs: JobRoutesDeps['jobs'];
  readonly #operator: Owner | undefined;

  constructor(jobs: JobRoutesDeps['jobs'], operator: Owner | undefined) {
    this.#jobs = jobs;
    this.#operator = operator;
  }

  filterFor({ owner }: FastifyRequest): { owner?: Owner } {
    return owner === this.#operator ? {} : { owner };
  }

  /**
   * Returns the field that names the owner of a job in a list. Only the operator gets it, because only the operator sees
   * jobs of several owners.
   */
  ownerOf({ owner }: { owner: Owner }, request: FastifyRequest): { owner?: string } {
    if (request.owner !== this.#operator) return {};
    return { owner: owner === this.#operator ? 'operator' : owner };
  }

  /** Throws `not_found`. */
  async find(request: FastifyRequest<ForJob>): Promise<JobView> {
    const { id } = request.params;
    const job = isJobId(id) ? await this.#jobs.get(id) : undefined;
    const { owner } = this.filterFor(request);
    if (job && (owner === undefined || job.owner === owner)) return job;
    throw noSuchJob();
  }
}

function noPatch(job: JobView): ServiceError {
  if (job.finishedAt === undefined) {
    return new ServiceError('job_not_finished', `Cannot give the diff of the job: it is ${job.state}`);
  }
  const why = job.workspace?.patchOmitted ?? (job.workspace ? 'the job changed no files' : 'nothing was collected');
  return new ServiceError('not_found', `There is no diff: ${why}`);
}

/** Returns the operations of these routes, for the description of the API. */
export function jobOperations(shape: JobRequestShape): Operation[] {
  const body = z.toJSONSchema(shape, { target: 'openapi-3.0', io: 'input' });
  const query = z.toJSONSchema(listQueryShape, { target: 'openapi-3.0', io: 'input' }).properties ?? {};
  return [
    {
      method: 'post',
      path: '/execute',
      summary: 'Submit a job; requests with the same Idempotency-Key are one job',
      body,
      answer: 202,
    },
    { method: 'get', path: '/jobs', summary: 'Jobs, newest first', query, errors: [400] },
    { method: 'get', path: '/jobs/{id}', summary: 'Everything about a job' },
    {
      method: 'delete',
      path: '/jobs/{id}',
      summary: 'Cancel it; the result is never_started or stopping',
      errors: [409],
    },
    {
      method: 'get',
      path: '/jobs/{id}/events',
      summary: 'Its events as server-sent events, from the first; Last-Event-ID or ?after= continues after one',
      query: { after: { type: 'integer', minimum: 0 } },
      errors: [400],
    },
    { method: 'get', path: '/jobs/{id}/diff', summary: 'Its changes as a unified diff', errors: [409] },
    { method: 'get', path: '/callback-secret', summary: 'The secret that signs the webhooks of this key' },
  ];
}

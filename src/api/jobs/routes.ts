/** The job routes: hand a job in, look at it, follow it, stop it, collect what it changed. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ServiceError } from '../../errors.ts';
import { ownerOfKey } from '../../http/auth.ts';
import type { JobDesk, ServerDeps } from '../../http/deps.ts';
import type { JsonBody } from '../../http/json-body.ts';
import { headerText } from '../../http/replies.ts';
import type { JobView } from '../../jobs/jobs.ts';
import type { Models } from '../models.ts';
import { JobEventStreams } from './events.ts';
import { isJobId, readAfter, readListQuery } from './query.ts';
import { inCallersWords, readJobRequest } from './request.ts';
import { renderJob, renderListedJob, whereItStands } from './view.ts';

type ForJob = { Params: { id: string } };

export function jobRoutes(server: FastifyInstance, deps: ServerDeps, jobs: JobDesk, models: Models): void {
  const reads = new Readers(jobs, deps.keys[0]);

  server.post('/execute', async (request, reply) => {
    const { job, created } = await submit(request, jobs, models);
    request.facts = { ...request.facts, runId: job.id, model: job.model, ...(created ? {} : { repeat: true }) };
    if (!created) reply.header('x-repeat', `the job ${job.id}; a new Idempotency-Key makes another job`);
    return reply
      .code(202)
      .header('location', `/jobs/${job.id}`)
      .send({ job_id: job.id, status: job.state, ...whereItStands(job) });
  });

  server.get('/jobs', async (request) => {
    const filter = readListQuery(request.query);
    const { jobs: page, nextCursor } = await jobs.list({ ...filter, ...reads.filterFor(request) });
    return { jobs: page.map(renderListedJob), next_cursor: nextCursor ?? null };
  });

  server.get<ForJob>('/jobs/:id', async (request) => renderJob(await reads.find(request)));

  server.get<ForJob>('/jobs/:id/diff', async (request, reply) => {
    const job = await reads.find(request);
    const patch = await jobs.patch(job.id);
    if (patch === undefined) throw noPatch(job);
    // A part of a patch passes for the whole of one, unless it is said.
    if (job.workspace?.patchOmitted) reply.header('x-patch-omitted', headerText(job.workspace.patchOmitted));
    return reply.type('text/x-diff; charset=utf-8').send(patch);
  });

  server.delete<ForJob>('/jobs/:id', async (request) => {
    const { id } = await reads.find(request);
    const { did, job } = await jobs.cancel(id);
    return { job_id: id, status: job.state, did };
  });

  // Each key its own and no other's, the operator's key too: who has a secret can forge what it signs.
  server.get('/callback-secret', async (request, reply) => {
    reply.header('cache-control', 'no-store');
    return { secret: jobs.callbackSecret(request.owner) };
  });

  eventRoute(server, deps, jobs, reads);
}

async function submit(request: FastifyRequest, jobs: JobDesk, models: Models) {
  const key = request.headers['idempotency-key'];
  const wish = readJobRequest((request.body as JsonBody | undefined)?.value, {
    models,
    owner: request.owner,
    idempotencyKey: key === undefined ? undefined : String(key),
  });
  try {
    return await jobs.submit(wish);
  } catch (error) {
    throw inCallersWords(error);
  }
}

function eventRoute(server: FastifyInstance, deps: ServerDeps, jobs: JobDesk, reads: Readers): void {
  const streams = new JobEventStreams(jobs, deps.settings);
  server.addHook('preClose', async () => streams.endAll());

  // There is no HEAD: its answer would be a stream that nobody reads.
  server.get<ForJob>('/jobs/:id/events', { exposeHeadRoute: false }, async (request, reply): Promise<FastifyReply> => {
    const after = readAfter(request.headers['last-event-id'], request.query);
    const job = await reads.find(request);
    // To a reader in a browser, which comes back after every end, this says that there is nothing to come back for.
    if (after > 0 && after >= job.events && job.finishedAt !== undefined) return reply.code(204).send();
    await streams.send({ id: job.id, after, reply }).catch((error: unknown) => {
      deps.log.fault({ requestId: request.id, error });
    });
    return reply;
  });
}

/** Who may see which job: each key its own ones, and the operator's key those of all. */
class Readers {
  readonly #jobs: JobDesk;
  readonly #operator: string | undefined;

  constructor(jobs: JobDesk, operatorKey: string | undefined) {
    this.#jobs = jobs;
    this.#operator = operatorKey ? ownerOfKey(operatorKey) : undefined;
  }

  filterFor({ owner }: FastifyRequest): { owner?: string } {
    return owner === this.#operator ? {} : { owner };
  }

  /** Throws `not_found`. */
  async find(request: FastifyRequest<ForJob>): Promise<JobView> {
    const { id } = request.params;
    const job = isJobId(id) ? await this.#jobs.get(id) : undefined;
    const { owner } = this.filterFor(request);
    if (job && (owner === undefined || job.owner === owner)) return job;
    throw new ServiceError('not_found', 'There is no such job: it never was, or it is no longer kept');
  }
}

function noPatch(job: JobView): ServiceError {
  if (job.finishedAt === undefined) {
    return new ServiceError('job_not_finished', `Cannot give the diff of the job: it is ${job.state}`);
  }
  const why = job.workspace?.patchOmitted ?? (job.workspace ? 'the job changed no files' : 'nothing was collected');
  return new ServiceError('not_found', `There is no diff: ${why}`);
}

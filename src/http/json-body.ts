/**
 * Reads request bodies as JSON, which has limits. The bytes are kept to recognise repeated requests.
 */
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { asServiceError, ServiceError } from '../errors.ts';
import { startOf } from '../truncate.ts';
import type { BodyRoom } from './body-room.ts';
import { jsonSize, overJsonLimits } from './json-bounds.ts';
import { readBody } from './read-body.ts';

export type JsonBody = { raw: Buffer; value: unknown };

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Called before a large body is read. Throws the error if the request would be refused whatever its body says.
     * @param announced the length of the body in bytes. Undefined if it is not known
     */
    refuseEarly?(request: FastifyRequest, announced: number | undefined): Promise<void>;
  }
  interface FastifyRequest {
    /** Frees the memory of the body. Called as soon as the body is no longer needed; a run may take long. */
    freeBody(): void;
  }
}

const largeBytes = 64 * 1024;

/** @param limit the size limit of a body, in bytes */
export function readJsonBodies(server: FastifyInstance, limit: number, room: BodyRoom): void {
  server.removeAllContentTypeParsers();
  server.decorateRequest('freeBody');
  server.addHook('onRequest', async (request) => {
    request.freeBody = () => {
      request.body = undefined;
    };
  });
  server.addContentTypeParser('application/json', async (request: FastifyRequest, payload: Readable) => {
    const { refuseEarly } = request.routeOptions.config;
    try {
      const { raw, release } = await readBody(request, payload, {
        limit,
        room,
        refuseEarly: async (announced) => refuseEarly?.(request, announced),
      });
      request.freeBody = () => {
        request.body = undefined;
        release();
      };
      // Some clients send a content type without a body.
      if (raw.length === 0 && request.method === 'DELETE') return undefined;
      return { raw, value: await parse(raw) } satisfies JsonBody;
    } catch (error) {
      request.freeBody();
      // After an error of this function Fastify would close the connection. A client that still sends would then not get
      // the answer.
      return asServiceError(error);
    }
  });
  server.addHook('preValidation', async ({ body }) => {
    if (body instanceof ServiceError) throw body;
  });
  server.addHook('onResponse', async (request) => request.freeBody());
  server.addHook('onRequestAbort', async (request) => request.freeBody());
}

async function parse(raw: Buffer): Promise<unknown> {
  const over = overJsonLimits(jsonSize(raw));
  if (over) throw new ServiceError('invalid_json', `Cannot read the request: the body ${over}`);
  await othersFirst(raw);
  const value = parseJson(raw);
  await othersFirst(raw);
  return value;
}

/** Lets other requests be served. Each step of reading a large body takes up to 100 ms. */
async function othersFirst(raw: Buffer): Promise<void> {
  if (raw.length > largeBytes) await setImmediate();
}

function parseJson(raw: Buffer): unknown {
  try {
    return JSON.parse(raw.toString('utf8').replace(/^\ufeff/, ''));
  } catch (error) {
    throw new ServiceError('invalid_json', `Cannot read the request: the body is not JSON (${reasonOf(error)})`);
  }
}

/** Returns V8's message without the excerpt of the body that V8 adds to it. */
function reasonOf(error: unknown): string {
  return startOf((error as Error).message.replace(/,? ?(\.\.\.)?".*$/s, ''), 100) || 'not well-formed';
}

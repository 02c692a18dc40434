/**
 * Reads request bodies. They must be JSON, may be compressed, and have limits. The bytes are kept to recognise repeated
 * requests.
 */
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { constants, createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ServiceError } from '../errors.ts';
import { jsonSize, overJsonLimits } from './json-bounds.ts';

export type JsonBody = { raw: Buffer; value: unknown };

const largeBytes = 64 * 1024;

const decoders = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  // A frame may ask for a window of 128 MB. One of 16 MB is enough for every body within the limit.
  zstd: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 24 } }),
} as const;

export function readJsonBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, raw: Buffer) => {
      // Some clients send a content type without a body.
      if (raw.length === 0 && request.method === 'DELETE') return undefined;
      return { raw, value: await parse(raw) } satisfies JsonBody;
    },
  );
  server.addHook('preParsing', async (request, _reply, payload) => {
    const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
    return encoding === 'identity' ? payload : decoded(payload, encoding);
  });
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
  return (error as Error).message.replace(/,? ?(\.\.\.)?".*$/s, '').slice(0, 100) || 'not well-formed';
}

/** The limit on bodies counts decoded bytes, so a small compressed body cannot grow beyond it. */
function decoded(payload: Readable, encoding: string): Readable {
  const create = Object.hasOwn(decoders, encoding) ? decoders[encoding as keyof typeof decoders] : undefined;
  if (!create) {
    const known = Object.keys(decoders).join(', ');
    throw new ServiceError('unsupported_media_type', `Cannot read the request: content-encoding must be ${known}`);
  }
  const decoder: Readable & { receivedEncodedLength?: number } = payload.pipe(create());
  decoder.receivedEncodedLength = 0;
  payload.on('data', (chunk: Buffer) => {
    decoder.receivedEncodedLength = (decoder.receivedEncodedLength ?? 0) + chunk.length;
  });
  payload.once('error', (error) => decoder.destroy(error));
  return decoder;
}

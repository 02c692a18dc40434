/** Reads request bodies: JSON only, also compressed, never more than the limits; the bytes are kept to tell repeats by. */
import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import { ServiceError } from '../errors.ts';
import { jsonSize, overJsonLimits } from '../json-bounds.ts';

export type JsonBody = { raw: Buffer; value: unknown };

const decoders = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
} as const;

export function readJsonBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, raw, done) => {
    // Some clients name the type of a body that they do not send.
    if (raw.length === 0 && request.method === 'DELETE') return done(null, undefined);
    try {
      done(null, { raw: raw as Buffer, value: parse(raw as Buffer) } satisfies JsonBody);
    } catch (error) {
      done(error as Error);
    }
  });
  server.addHook('preParsing', async (request, _reply, payload) => {
    const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
    return encoding === 'identity' ? payload : decoded(payload, encoding);
  });
}

function parse(raw: Buffer): unknown {
  const over = overJsonLimits(jsonSize(raw));
  if (over) throw new ServiceError('invalid_json', `Cannot read the request: the body ${over}`);
  try {
    return JSON.parse(raw.toString('utf8').replace(/^\ufeff/, ''));
  } catch (error) {
    throw new ServiceError('invalid_json', `Cannot read the request: the body is not JSON (${reasonOf(error)})`);
  }
}

/** Without the excerpt of the body that V8 adds. */
function reasonOf(error: unknown): string {
  return (error as Error).message.replace(/,? ?(\.\.\.)?".*$/s, '').slice(0, 100) || 'not well-formed';
}

/** The limit on bodies counts what comes out, so a small body cannot grow beyond it. */
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

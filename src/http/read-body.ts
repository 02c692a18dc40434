/** Reads the bytes of a request body: decompressed, within the limit, and within the room that all bodies share. */
import type { Readable } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import type { FastifyRequest } from 'fastify';
import { ServiceError } from '../errors.ts';
import type { BodyRoom } from './body-room.ts';

/** Up to this size, in bytes, a body is read without asking for room, and before it is known whether it is refused. */
const smallBytes = 64 * 1024;

export type ReadBodyOptions = {
  /** The size limit of the body after it is decompressed, in bytes. */
  limit: number;
  room: BodyRoom;
  /** Called before more than 64 KiB are read. Throws the error if the request would be refused whatever it says. */
  refuseEarly(announced: number | undefined): Promise<void>;
};

/**
 * Throws `body_too_large`, `unsupported_media_type`, `too_many_bodies`, `invalid_request` for a broken body, or the
 * error of `refuseEarly`. `release` frees the room.
 */
export async function readBody(
  request: FastifyRequest,
  payload: Readable,
  { limit, room, refuseEarly }: ReadBodyOptions,
): Promise<{ raw: Buffer; release(): void }> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  const body = encoding === 'identity' ? payload : decoded(payload, encoding);
  const announced = encoding === 'identity' ? lengthOf(request) : undefined;
  if (announced !== undefined && announced > limit) throw new ServiceError('body_too_large');
  let release: (() => void) | undefined;
  const makeRoom = async () => {
    await refuseEarly(announced);
    release = await takeRoom(room, request, announced ?? limit);
  };
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    if ((announced ?? 0) > smallBytes) await makeRoom();
    // If the stream were destroyed, so would be the connection, and the client would get no answer.
    for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > limit) throw new ServiceError('body_too_large');
      chunks.push(chunk);
      if (length > smallBytes && !release) await makeRoom();
    }
    return { raw: Buffer.concat(chunks, length), release: release ?? (() => {}) };
  } catch (error) {
    release?.();
    if (body !== payload) body.destroy();
    // The rest is read and dropped, because many clients look for the answer only after they have sent everything.
    payload.unpipe().resume();
    if (error instanceof ServiceError) throw error;
    throw new ServiceError('invalid_request', 'Cannot read the request: the body is broken or incomplete');
  }
}

function lengthOf({ headers }: FastifyRequest): number | undefined {
  return headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
}

async function takeRoom(room: BodyRoom, { owner, socket }: FastifyRequest, bytes: number): Promise<() => void> {
  const gone = new AbortController();
  const onClose = () => gone.abort();
  socket.once('close', onClose);
  if (socket.destroyed) onClose();
  return room.take(owner, bytes, gone.signal).finally(() => socket.off('close', onClose));
}

const decoders = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  // A frame may ask for a window of 128 MB. One of 16 MB is enough for every body within the limit.
  zstd: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 24 } }),
} as const;

/** The limit on bodies counts decoded bytes, so a small compressed body cannot grow beyond it. */
function decoded(payload: Readable, encoding: string): Readable {
  const create = Object.hasOwn(decoders, encoding) ? decoders[encoding as keyof typeof decoders] : undefined;
  if (!create) {
    const known = Object.keys(decoders).join(', ');
    throw new ServiceError('unsupported_media_type', `Cannot read the request: content-encoding must be ${known}`);
  }
  const decoder: Readable = payload.pipe(create());
  payload.once('error', (error) => decoder.destroy(error));
  return decoder;
}

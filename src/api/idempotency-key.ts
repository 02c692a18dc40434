/** Reads the header `Idempotency-Key`. Requests of the same owner with the same value are one request. */
import type { FastifyRequest } from 'fastify';
import { invalidField } from '../errors.ts';

const maxLength = 255;

/** Returns `undefined` if the header is missing. Throws `invalid_request`. */
export function idempotencyKeyOf(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && key !== '' && key.length <= maxLength) return key;
  throw invalidField('Idempotency-Key', `must be 1 to ${maxLength} characters`);
}

/** Answers input that is not well-formed HTTP. Fastify has no request for it, only a connection. */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { ServiceError } from '../errors.ts';
import type { ErrorBody } from './replies.ts';

export function refuseBrokenRequest(error: Error & { code?: string }, socket: Socket, errorBody: ErrorBody): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [status, reason] = statusOf(error.code);
  const invalid = new ServiceError('invalid_request', `Cannot read the request: ${reason}`);
  const body = JSON.stringify(errorBody(invalid));
  const head = [
    `HTTP/1.1 ${status}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: req_${randomUUID()}`,
    'x-should-retry: false',
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function statusOf(code: string | undefined): [status: string, reason: string] {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['408 Request Timeout', 'it did not arrive in time'];
    case 'HPE_HEADER_OVERFLOW':
      return ['431 Request Header Fields Too Large', 'its headers are too large'];
    default:
      return ['400 Bad Request', 'it is not well-formed HTTP'];
  }
}

/** Answers input that is not well-formed HTTP. Fastify has no request for it, only a connection. */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';

export function refuseBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [status, reason] = statusOf(error.code);
  const body = JSON.stringify({ error: 'invalid request', detail: `Cannot read the request: ${reason}` });
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

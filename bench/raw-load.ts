/** Sends requests as fast as they are answered, over kept connections, at almost no cost of its own. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Loop } from './measure.ts';

export type RawRequest = { method: string; path: string; headers?: Record<string, string>; body?: string };

/** Every connection has one request under way. Throws on an answer of another status. */
export async function rawLoad(
  url: string,
  { method, path, headers = {}, body = '' }: RawRequest,
  { clients, ms, status }: { clients: number; ms: number; status: number },
): Promise<Loop> {
  const fields = { host: new URL(url).host, 'content-length': Buffer.byteLength(body), ...headers };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
  const began = performance.now();
  let count = 0;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      let pending: Buffer = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        pending = pending.length > 0 ? Buffer.concat([pending, chunk]) : chunk;
        if (pending.length < lengthOf(pending, status)) return;
        pending = Buffer.alloc(0);
        count += 1;
        if (performance.now() - began < ms) socket.write(request);
        else socket.destroy();
      });
      socket.write(request);
      await once(socket, 'close');
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  return { count, seconds, perSecond: count / seconds };
}

/** The length of the answer at the start of the bytes; infinite while its head is incomplete. */
function lengthOf(bytes: Buffer, status: number): number {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return Number.POSITIVE_INFINITY;
  const head = bytes.toString('latin1', 0, end);
  if (!head.startsWith(`HTTP/1.1 ${status} `)) throw new Error(`Expected status ${status}: ${head.slice(0, 80)}`);
  return end + 4 + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
}

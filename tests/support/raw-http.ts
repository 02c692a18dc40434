/** Requests written directly to a socket, for bytes that no client library sends. */
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export type RawConnection = {
  socket: Socket;
  /** Everything received so far. */
  readonly text: string;
  /** Resolves when the connection is closed, with everything received. */
  closed: Promise<string>;
};

export async function rawConnection(t: TestContext, url: string, send: string | Buffer): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  t.after(() => socket.destroy());
  const chunks: Buffer[] = [];
  const text = () => Buffer.concat(chunks).toString();
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(text())));
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write(send);
  return {
    socket,
    get text() {
      return text();
    },
    closed,
  };
}

/** A request as bytes. */
export function rawRequest(method: string, path: string, headers: Record<string, string>, body = ''): string {
  const all = { host: 'localhost', ...(body ? { 'content-length': String(Buffer.byteLength(body)) } : {}), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

/** A listener on 127.0.0.1 that records which planted command ran: each connection sends a name. */

import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import type { TestContext } from 'node:test';

export type Canary = {
  port: number;
  /** A shell command that sends a name to the canary. */
  tell(name: string): string;
  /** The names so far, in order; of an HTTP client it is the request line. */
  heard(): string[];
};

export async function startCanary(t: TestContext): Promise<Canary> {
  const heard: string[] = [];
  const server = createServer((socket) => {
    socket.once('data', (text) => {
      heard.push(String(text).split(/\r?\n/)[0] ?? '');
      socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    });
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return {
    port,
    tell: (name) => `bash -c 'echo ${name} > /dev/tcp/127.0.0.1/${port}'`,
    heard: () => [...heard],
  };
}

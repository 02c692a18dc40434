/** A listener on loopback that hears from whatever a test has planted: each connection names what ran. */

import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import type { TestContext } from 'node:test';

export type Canary = {
  port: number;
  /** A shell command that tells the canary a name, and does nothing else. */
  tell(name: string): string;
  /** What it heard, in order; a client that speaks HTTP is heard by its request line. */
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

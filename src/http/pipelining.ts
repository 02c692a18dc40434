/**
 * Limits how many requests a connection may send without waiting for their answers, and how many of them are handled in
 * one turn of the event loop. Node reads hundreds of small ones at once, which would keep the server from answering
 * other clients.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Clients that send several requests at once send a few dozen. */
const maxUnanswered = 100;
const maxInTurn = 20;

/** Returns a handler that closes the connection of a client that sends more, and handles none of the further ones. */
export function limitPipelining(handle: RequestListener): RequestListener {
  const unanswered = new WeakMap<Socket, number>();
  /** How many requests of a connection were handled in this turn of the event loop. */
  const inTurn = new WeakMap<Socket, number>();
  return (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    if (socket.destroyed) return;
    const count = (unanswered.get(socket) ?? 0) + 1;
    if (count > maxUnanswered) {
      socket.destroy();
      return;
    }
    unanswered.set(socket, count);
    response.once('close', () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1));
    const turn = (inTurn.get(socket) ?? 0) + 1;
    inTurn.set(socket, turn);
    if (turn === 1) setImmediate(() => inTurn.delete(socket));
    if (turn <= maxInTurn) handle(request, response);
    else setImmediate(() => handle(request, response));
  };
}

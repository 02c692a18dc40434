/** Reports how an answer ended: the client received all of it, or disconnected. */
import type { FastifyReply } from 'fastify';

/**
 * Calls exactly one of the two functions, once. This works for streams, for answers that have not begun, and on
 * pipelined connections.
 */
export function watchAnswer(reply: FastifyReply, on: { delivered(): void; gone(): void }): void {
  const response = reply.raw;
  const { socket } = response.req;
  const settle = (call: () => void) => {
    response.off('finish', delivered);
    socket.off('close', gone);
    call();
  };
  const delivered = () => settle(on.delivered);
  const gone = () => settle(on.gone);
  response.once('finish', delivered);
  // The event of the response is of no use here: a pipelined response that waits for an earlier one has no socket yet.
  socket.once('close', gone);
  if (socket.destroyed) gone();
}

/** Returns a signal that aborts if the client disconnects before it has the whole answer. */
export function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  watchAnswer(reply, { delivered: () => {}, gone: () => gone.abort() });
  return gone.signal;
}

/** Reports how an answer ended: the client got all of it, or went away. */
import type { FastifyReply } from 'fastify';

/** Calls exactly one of the two, once. Works for streams and for answers not begun, also on pipelined connections. */
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
  // Not the response's own event: a pipelined response that waits for its turn has no socket yet.
  socket.once('close', gone);
  if (socket.destroyed) gone();
}

/** Aborts when the client goes away before it has its answer. */
export function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  watchAnswer(reply, { delivered: () => {}, gone: () => gone.abort() });
  return gone.signal;
}

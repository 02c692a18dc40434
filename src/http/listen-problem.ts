/** Says why a server cannot listen on an address, and how to fix that. */

/** Both texts have no full stop, and are on one line. */
export type ListenProblem = { what: string; fix: string };

/** @param code the code of the error of Node, such as `EADDRINUSE` */
export function listenProblem({ host, port }: { host: string; port: number }, code: string | undefined): ListenProblem {
  const what = `Port ${port} of ${host}`;
  const otherHost = 'set HOST to an address of this machine, such as 127.0.0.1';
  switch (code) {
    case 'EADDRINUSE':
      return { what: `${what} is taken`, fix: `end the process that uses it, or set PORT=${port + 1}` };
    case 'EACCES':
      return { what: `${what} is only for root`, fix: 'set PORT to a number above 1023' };
    case 'EADDRNOTAVAIL':
      return { what: `${what} cannot be used: the address is not one of this machine`, fix: otherHost };
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return { what: `${what} cannot be used: the name has no address`, fix: otherHost };
    default:
      return { what: `${what} cannot be used: ${code ?? 'unknown error'}`, fix: 'set HOST and PORT to other values' };
  }
}

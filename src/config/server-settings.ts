/** Settings of the server itself: its address, its keys, its data, and its role among several machines. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { choice, decimal, integer, list, optionalText, text } from './setting.ts';

export const serverSettings = {
  apiBearerToken: optionalText(
    'API_BEARER_TOKEN',
    "The operator's API key, which clients send. Unset: one is made on the first start and kept in `DATA_DIR/api-key`. Set but empty: every request but `/health` is refused.",
    { shownDefault: 'made on first start' },
  ),
  apiKeys: list(
    'API_KEYS',
    [],
    'Further API keys, separated by commas. Waiting requests of different keys alternate, and a key sees only its own jobs and conversations. `API_BEARER_TOKEN` sees the jobs of all keys.',
  ),
  host: text('HOST', '127.0.0.1', 'The address to listen on.'),
  port: integer('PORT', 8000, [0, 65535], 'The port to listen on. With 0 it is any free port.'),
  allowedHosts: list(
    'ALLOWED_HOSTS',
    [],
    'Further names under which clients may call a server that listens on loopback only, such as the name of a reverse proxy that passes `Host` on. `*` allows every name. Without it a web page could call the server under a name of its own.',
  ),
  dataDir: text(
    'DATA_DIR',
    join(homedir(), '.local', 'share', 'claude-agent-server'),
    'The folder of the jobs, the worktrees and the key.',
    { shownDefault: 'XDG data folder' },
  ),
  databaseUrl: optionalText(
    'DATABASE_URL',
    'The URL of a PostgreSQL database for the jobs, which several machines can share. Unset: the jobs are in a file in `DATA_DIR`.',
    { shownDefault: 'embedded' },
  ),
  role: choice(
    'ROLE',
    'all',
    ['all', 'gateway', 'worker'],
    'The role of this server among those that share `DATABASE_URL`. `gateway`: it answers requests and runs no agents. `worker`: it runs what gateways have accepted. `all`: both.',
  ),
  workerTimeoutSeconds: decimal(
    'WORKER_TIMEOUT_SECONDS',
    30,
    [15, 3600],
    'With `DATABASE_URL`: how long a worker may be silent before it counts as gone.',
  ),
  bodyLimitBytes: integer('BODY_LIMIT_BYTES', 10_485_760, [1024, 1_073_741_824], 'The size limit of a request body.'),
  corsOrigins: list(
    'CORS_ORIGINS',
    [],
    'The origins whose pages may call this server, exactly as a browser sends them.',
  ),
  shutdownGraceSeconds: decimal(
    'SHUTDOWN_GRACE_SECONDS',
    30,
    [0, 86_400],
    'How long runs may take to finish after the first SIGTERM or SIGINT. A second signal ends them at once.',
  ),
  logLevel: choice(
    'LOG_LEVEL',
    'info',
    ['debug', 'info', 'warn', 'error', 'silent'],
    'How much is logged, as JSON lines on standard error.',
  ),
};

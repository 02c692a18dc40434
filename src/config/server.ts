/** Settings of the server itself: where it listens, who may come in, where it keeps things. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { choice, decimal, integer, list, optionalText, text } from './setting.ts';

export const serverSettings = {
  apiBearerToken: optionalText(
    'API_BEARER_TOKEN',
    'The key that clients send. Unset: one is made on the first start and kept in `DATA_DIR/api-key`. Set but empty: nothing is open.',
    { secret: true, shownDefault: 'made on first start' },
  ),
  apiKeys: list(
    'API_KEYS',
    [],
    'Further keys, separated by commas. Callers with different keys take turns, and nothing of one reaches another; `API_BEARER_TOKEN` reaches the jobs of all.',
    { secret: true },
  ),
  host: text('HOST', '127.0.0.1', 'Address to listen on.'),
  port: integer('PORT', 8000, [0, 65535], 'Port to listen on; 0 takes a free one.'),
  dataDir: text(
    'DATA_DIR',
    join(homedir(), '.local', 'share', 'claude-agent-server'),
    'Jobs, worktrees and the key live here.',
    { shownDefault: 'XDG data folder' },
  ),
  databaseUrl: optionalText(
    'DATABASE_URL',
    'PostgreSQL for several machines; unset: an embedded store in `DATA_DIR`.',
    { secret: true, shownDefault: 'embedded' },
  ),
  role: choice(
    'ROLE',
    'all',
    ['all', 'gateway', 'worker'],
    'With `DATABASE_URL`: `gateway` answers requests and runs nothing, `worker` runs what gateways took, `all` does both.',
  ),
  workerTimeoutSeconds: decimal(
    'WORKER_TIMEOUT_SECONDS',
    30,
    [15, 3600],
    'With `DATABASE_URL`: after how long a silent worker counts as gone.',
  ),
  bodyLimitBytes: integer('BODY_LIMIT_BYTES', 10_485_760, [1024, 1_073_741_824], 'The largest request body.'),
  corsOrigins: list('CORS_ORIGINS', [], 'Origins whose pages may call this server, exactly as a browser sends them.'),
  shutdownGraceSeconds: decimal(
    'SHUTDOWN_GRACE_SECONDS',
    30,
    [0, 86_400],
    'How long runs may finish after the first SIGTERM or SIGINT; a second signal ends them at once.',
  ),
  logLevel: choice(
    'LOG_LEVEL',
    'info',
    ['debug', 'info', 'warn', 'error', 'silent'],
    'How much is logged, as JSON lines on stderr.',
  ),
};

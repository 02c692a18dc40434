/** CPU time and memory of a process, or of a process tree, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/** User and system time of one process, in milliseconds, with a resolution of 10 ms. Throws when the process has ended. */
export function cpuMs(pid: number): number {
  const row = readStat(pid);
  if (!row) throw new Error(`Cannot read the CPU time of process ${pid}: it is gone`);
  return row.cpuMs;
}

/** The living descendants of a process. */
export function descendants(root: number): number[] {
  return [...new Tree(root).look().keys()].filter((pid) => pid !== root);
}

/**
 * CPU time of a process and its descendants, by repeated reading: the kernel adds up only children that a parent waits
 * for, and processes that die with their sandbox are not waited for. The last moments of each process are missed.
 */
export class TreeCpu {
  readonly #tree: Tree;
  readonly #timer: NodeJS.Timeout;
  readonly #latest = new Map<number, number>();
  readonly #before: number;

  constructor(root: number, everyMs = 25) {
    this.#tree = new Tree(root);
    this.#before = this.#look();
    this.#timer = setInterval(() => this.#look(), everyMs);
  }

  /** Milliseconds since the beginning. */
  ms(): number {
    return this.#look() - this.#before;
  }

  stop(): number {
    clearInterval(this.#timer);
    return this.ms();
  }

  #look(): number {
    for (const [pid, row] of this.#tree.look()) this.#latest.set(pid, row.cpuMs);
    return [...this.#latest.values()].reduce((sum, ms) => sum + ms, 0);
  }
}

/** Resident memory of one process. A megabyte has 2^20 bytes, as `top` shows it. */
export function rssMb(pid: number): number {
  return statusKb(pid, 'VmRSS') * mbPerKb;
}

/** The maximum of `rssMb` since the process began. */
export function peakRssMb(pid: number): number {
  return statusKb(pid, 'VmHWM') * mbPerKb;
}

/** Memory of processes, with shared pages divided among those that share them. `undefined`: no permission to read it. */
export function pssMb(pids: number[]): number | undefined {
  try {
    const sizes = pids.map((pid) => {
      const [, kb] = /^Pss: +(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')) ?? [];
      return Number(kb ?? 0) * mbPerKb;
    });
    return sizes.reduce((sum, size) => sum + size, 0);
  } catch {
    return undefined;
  }
}

const mbPerKb = 1 / 1024;

function statusKb(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const [, kb] = new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Number(kb ?? 0);
}

type Row = { parent: number; cpuMs: number };

/** A process and its descendants; any other process is read once. */
class Tree {
  readonly #members: Set<number>;
  readonly #strangers = new Set<number>();

  constructor(root: number) {
    this.#members = new Set([root]);
  }

  /** The living processes of the tree. */
  look(): Map<number, Row> {
    const living = new Map<number, Row>();
    // By number a parent comes before its children, except in the rare case that numbers start again.
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    for (const pid of pids.map(Number).toSorted((a, b) => a - b)) {
      if (this.#strangers.has(pid)) continue;
      const row = readStat(pid);
      if (!row) continue;
      if (!this.#members.has(pid) && !this.#members.has(row.parent)) this.#strangers.add(pid);
      else {
        this.#members.add(pid);
        living.set(pid, row);
      }
    }
    return living;
  }
}

/** Linux counts in hundredths of a second for programs, whatever its own clock. */
const msPerTick = 10;

/** `undefined`: gone, or a zombie. proc(5): state, parent; user and system time are the 14th and 15th field. */
function readStat(pid: number): Row | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The name, the second field, may hold spaces and parentheses.
  const [state, parent, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (state === 'Z') return undefined;
  return { parent: Number(parent), cpuMs: (Number(fields[9]) + Number(fields[10])) * msPerTick };
}

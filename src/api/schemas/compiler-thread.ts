/**
 * A thread that compiles schemas one after the other. It starts with the first schema, and ends when a schema takes too
 * long.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

export type Verdict = {
  /** Why the schema cannot be used, as the end of a sentence. Undefined if it can be used. */
  problem?: string;
  /** Whether the same schema would always get this result. */
  final: boolean;
};

export type ThreadLimits = {
  /** The longest time for one schema on a running thread, in milliseconds. */
  compileMs: number;
  /** How long a thread without work is kept, in milliseconds. It takes about 30 MB. */
  idleMs: number;
};

/** The longest time for the start of a thread, in milliseconds. It usually takes 0.2 s. */
const startMs = 20_000;
const memoryMb = 128;

/** The worker has the extension of this file: `.ts` in the repository, `.js` in the package. */
const code = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);

export class CompilerThread {
  readonly #limits: ThreadLimits;
  #ready: Promise<Worker> | undefined;
  #idle: NodeJS.Timeout | undefined;
  #ending: Promise<unknown> = Promise.resolve();

  constructor(limits: ThreadLimits) {
    this.#limits = limits;
  }

  /** Compiles one schema at a time. Throws when no thread can be started. */
  async compile(json: string): Promise<Verdict> {
    clearTimeout(this.#idle);
    try {
      const worker = await (this.#ready ?? this.#begin());
      worker.ref();
      const verdict = await this.#ask(worker, json);
      worker.unref();
      this.#idle = setTimeout(() => this.end(), this.#limits.idleMs).unref();
      return verdict;
    } catch (error) {
      this.end();
      const { code } = error as { code?: string };
      if (code === 'ERR_WORKER_OUT_OF_MEMORY') return tooMuch(`more than ${memoryMb} MB of memory`);
      if (error === late) return tooMuch(`longer than ${this.#limits.compileMs / 1000} s`);
      throw error;
    }
  }

  /** Ends the thread. The next schema starts another. */
  end(): void {
    clearTimeout(this.#idle);
    const ready = this.#ready;
    this.#ready = undefined;
    if (!ready) return;
    this.#ending = ready.then(
      (worker) => worker.terminate(),
      () => {},
    );
  }

  /** Settles when the last ended thread is gone. */
  get ended(): Promise<unknown> {
    return this.#ending;
  }

  /** Starts a thread when the one before it is gone. */
  #begin(): Promise<Worker> {
    const ready = this.#ending.then(start);
    this.#ready = ready;
    const forget = () => {
      if (this.#ready === ready) this.#ready = undefined;
    };
    // The thread may end while nobody waits for it.
    ready.then((worker) => worker.once('exit', forget), forget);
    return ready;
  }

  async #ask(worker: Worker, json: string): Promise<Verdict> {
    worker.postMessage(json);
    const { problem } = (await answerOf(worker, this.#limits.compileMs)) as { problem?: string };
    return problem === undefined ? { final: true } : { problem, final: true };
  }
}

const late = new Error('Cannot wait for the thread: it is late');

function tooMuch(what: string): Verdict {
  return { problem: `is too complex: compiling it takes ${what}, the limit`, final: false };
}

/** Starts the thread without the environment variables, which may contain keys. */
async function start(): Promise<Worker> {
  const worker = new Worker(code, {
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: memoryMb, maxYoungGenerationSizeMb: 16 },
  });
  // Without a listener an error would end the process.
  worker.on('error', () => {});
  try {
    await answerOf(worker, startMs);
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  return worker;
}

/** Returns the next message of the thread. Throws the thread's error, or `late` after `ms` milliseconds. */
function answerOf(worker: Worker, ms: number): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const onExit = () => reject(new Error('Cannot compile a schema: the thread has ended'));
  const timer = setTimeout(() => reject(late), ms);
  worker.once('message', resolve).once('error', reject).once('exit', onExit);
  return promise.finally(() => {
    clearTimeout(timer);
    worker.off('message', resolve).off('error', reject).off('exit', onExit);
  });
}

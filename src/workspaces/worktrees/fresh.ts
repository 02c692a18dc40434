/** Shares one piece of work among all who want its result: those who come while it runs, and for a while after it. */

/** Settles with the result of the work that runs, or of the last that ended within `freshMs`, or else of a new one. */
export type Fresh<T> = () => Promise<T>;

/** A failure is shared by those who wait for it, and not kept. */
export function createFresh<T>(work: () => Promise<T>, freshMs: number): Fresh<T> {
  let latest: { result: Promise<T>; endedAt: number } | undefined;
  return () => {
    if (latest && performance.now() - latest.endedAt < freshMs) return latest.result;
    const started = { result: work(), endedAt: Number.POSITIVE_INFINITY };
    latest = started;
    started.result.then(
      () => {
        started.endedAt = performance.now();
      },
      () => {
        if (latest === started) latest = undefined;
      },
    );
    return started.result;
  };
}

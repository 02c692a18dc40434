/** Knows which methods each path takes, so that a wrong method gets 405 and a wrong path 404. */

export class KnownPaths {
  readonly #methods = new Map<string, { pattern: RegExp; methods: Set<string> }>();

  add(path: string, methods: string | string[]): void {
    const known = this.#methods.get(path) ?? { pattern: patternOf(path), methods: new Set<string>() };
    for (const method of [methods].flat()) known.methods.add(method);
    this.#methods.set(path, known);
  }

  /** Returns the methods that the path takes. Returns an empty list if there is no such path. */
  methodsOf(path: string): string[] {
    const wanted = path.replace(/\/{2,}/g, '/').replace(/(.)\/$/, '$1');
    const found = [...this.#methods.values()].filter(({ pattern }) => pattern.test(wanted));
    return [...new Set(found.flatMap(({ methods }) => [...methods]))].sort();
  }
}

function patternOf(path: string): RegExp {
  const escaped = path.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replace(/:[^/]+/g, '[^/]+').replace(/\*$/, '.+')}$`);
}

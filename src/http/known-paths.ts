/** Which paths exist with which methods, to tell a wrong method from a wrong path. */

export class KnownPaths {
  readonly #methods = new Map<string, { pattern: RegExp; methods: Set<string> }>();

  add(path: string, methods: string | string[]): void {
    const known = this.#methods.get(path) ?? { pattern: patternOf(path), methods: new Set<string>() };
    for (const method of [methods].flat()) known.methods.add(method);
    this.#methods.set(path, known);
  }

  /** The methods of the path; empty where there is none. */
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

/** Which paths exist with which methods, to tell a wrong method from a wrong path. */
import { ServiceError } from '../errors.ts';

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

  /** Why a request that no route takes cannot be served. */
  refusal(method: string, path: string): ServiceError {
    const allow = this.methodsOf(path);
    const shown = JSON.stringify(path.slice(0, 200));
    if (allow.length > 0) {
      const message = `Cannot ${method} ${shown}: it takes ${allow.join(', ')}`;
      return new ServiceError('method_not_allowed', message, { allow });
    }
    if (/\/responses(\/|$)/.test(path)) {
      const how = 'use chat completions (with the AI SDK: provider.chat(model))';
      return new ServiceError('not_found', `Cannot serve ${shown}: there is no Responses API here, ${how}`);
    }
    const chat = 'POST /openai/v1/chat/completions, POST /v1/chat/completions, GET /v1/models';
    return new ServiceError('not_found', `Cannot serve ${shown}: there is nothing; for chat there are ${chat}`);
  }
}

function patternOf(path: string): RegExp {
  const escaped = path.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replace(/:[^/]+/g, '[^/]+').replace(/\*$/, '.+')}$`);
}

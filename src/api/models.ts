/** The models of this server: the names that a request may use, and their routes. */
import type { FastifyInstance } from 'fastify';
import { ServiceError } from '../errors.ts';
import type { ErrorBody } from '../http/replies.ts';
import { startOf } from '../truncate.ts';

export type ModelSettings = { models: string[]; defaultModel: string; modelAliases: Record<string, string> };

export type ModelObject = { id: string; object: 'model'; created: number; owned_by: string };

export type Models = {
  /** Every name that a request may use, aliases last. */
  ids: string[];
  /**
   * Finds a model. `requestedModel` is the name that the answer repeats, `model` the name that the agent is started with. Throws
   * `unsupported_model`.
   */
  resolve(name: string | null | undefined): { requestedModel: string; model: string };
  list(): { object: 'list'; data: ModelObject[] };
  get(id: string): ModelObject | undefined;
};

/** @param created seconds since 1970; the agent's models have no date of their own */
export function createModels(settings: ModelSettings, created: number): Models {
  const targets = new Map([
    ...settings.models.map((name) => [name, name] as const),
    ...Object.entries(settings.modelAliases),
  ]);
  const ids = [...targets.keys()];
  const objects = ids.map((id): ModelObject => ({ id, object: 'model', created, owned_by: 'anthropic' }));
  return {
    ids,
    resolve(name) {
      const id = name ?? settings.defaultModel;
      const model = targets.get(id);
      if (model !== undefined) return { requestedModel: id, model };
      const message = `Cannot use the model ${quoted(id)}: unsupported model, this server has ${ids.join(', ')}`;
      throw new ServiceError('unsupported_model', message, { param: 'model', supported: ids });
    },
    list: () => ({ object: 'list', data: objects }),
    get: (id) => objects.find((model) => model.id === id),
  };
}

/** Adds the routes of the models under one base path. Several APIs may share a base. */
export function modelRoutes(server: FastifyInstance, base: string, errorBody: ErrorBody, models: Models): void {
  const options = { config: { errorBody, foreignQuery: true } };
  server.get(`${base}/models`, options, async () => models.list());
  // A wildcard is needed, because some clients ask for ids that contain a slash.
  server.get<{ Params: { '*': string } }>(`${base}/models/*`, options, async (request) => {
    const id = request.params['*'];
    const model = models.get(id);
    if (model) return model;
    throw new ServiceError('not_found', `Cannot find the model ${quoted(id)}: there are ${models.ids.join(', ')}`);
  });
}

function quoted(id: string): string {
  return JSON.stringify(startOf(id, 100));
}

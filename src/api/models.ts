/** The models served: what a request may name, and what they are to the agent. */
import { ServiceError } from '../errors.ts';

export type ModelSettings = { models: string[]; defaultModel: string; modelAliases: Record<string, string> };

export type ModelObject = { id: string; object: 'model'; created: number; owned_by: string };

export type Models = {
  /** Every name that a request may use, aliases last. */
  ids: string[];
  /** `asked` is what the answer echoes, `model` what the agent is started with. Throws `unsupported_model`. */
  resolve(asked: string | null | undefined): { asked: string; model: string };
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
    resolve(asked) {
      const id = asked ?? settings.defaultModel;
      const model = targets.get(id);
      if (model !== undefined) return { asked: id, model };
      throw new ServiceError(
        'unsupported_model',
        `Cannot use the model ${JSON.stringify(id.slice(0, 100))}: unsupported model, this server has ${ids.join(', ')}`,
        { param: 'model', supported: ids },
      );
    },
    list: () => ({ object: 'list', data: objects }),
    get: (id) => objects.find((model) => model.id === id),
  };
}

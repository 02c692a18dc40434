/** The model routes of both doors. */
import type { FastifyInstance } from 'fastify';
import { ServiceError } from '../errors.ts';
import type { Door } from './doors.ts';
import type { Models } from './models.ts';

export function modelRoutes(server: FastifyInstance, door: Door, models: Models): void {
  const options = { config: { dialect: door.dialect } };
  for (const prefix of door.prefixes) {
    server.get(`${prefix}/models`, options, async () => models.list());
    server.get<{ Params: { '*': string } }>(`${prefix}/models/*`, options, async (request) => {
      // A wildcard: the ids of some clients hold a slash.
      const id = request.params['*'];
      const model = models.get(id);
      if (model) return model;
      const known = models.ids.join(', ');
      throw new ServiceError(
        'not_found',
        `Cannot find the model ${JSON.stringify(id.slice(0, 100))}: there are ${known}`,
      );
    });
  }
}

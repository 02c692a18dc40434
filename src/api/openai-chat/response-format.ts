/** `response_format` as a schema that the agent's answer must satisfy. */
import { invalidField } from '../../errors.ts';
import { enforceable, type FindProblem, type Schema, Unenforceable } from '../schemas/json-schema.ts';
import type { ChatBody } from './request-shape.ts';

/** `undefined`: any text will do. Throws `invalid_request` for a schema that cannot be enforced. */
export async function outputSchemaOf(
  format: ChatBody['response_format'],
  findProblem: FindProblem,
): Promise<Schema | undefined> {
  switch (format?.type) {
    case undefined:
    case 'text':
      return undefined;
    case 'json_object':
      return { type: 'object' };
    case 'json_schema':
      try {
        return await enforceable(format.json_schema.schema ?? { type: 'object' }, findProblem);
      } catch (error) {
        if (!(error instanceof Unenforceable)) throw error;
        throw invalidField('response_format.json_schema.schema', error.message);
      }
  }
}

/** What a client reads when something goes wrong, in both dialects. */
import type { ErrorCode, ServiceError } from '../errors.ts';

export type Dialect = 'native' | 'openai';

export function errorBody(error: ServiceError, dialect: Dialect): Record<string, unknown> {
  return dialect === 'native' ? nativeBody(error) : openaiBody(error);
}

function nativeBody({ code, row, message, extra }: ServiceError): Record<string, unknown> {
  if (extra.supported) return { error: row.native, supported: extra.supported };
  // The words that clients of this door look for.
  return { error: row.native, detail: code === 'agent_busy' ? 'agent is busy' : message };
}

function openaiBody({ code, row, message, extra }: ServiceError): Record<string, unknown> {
  const error = { message, type: row.type, param: extra.param ?? null, code: openaiCodes[code] ?? code };
  return extra.supported ? { error, supported: extra.supported } : { error };
}

/** Where OpenAI has a name of its own that clients know. */
const openaiCodes: Partial<Record<ErrorCode, string>> = {
  unauthorized: 'invalid_api_key',
  unsupported_model: 'model_not_found',
};

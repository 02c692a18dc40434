/** Renders errors in the words of OpenAI: `{"error": {"message", "type", "param", "code"}}`. */
import type { ErrorCode, ErrorKind, ServiceError } from '../../errors.ts';

export function errorBody({ code, row, message, extra }: ServiceError): Record<string, unknown> {
  const error = { message, type: types[row.kind], param: extra.param ?? null, code: codes[code] ?? code };
  return extra.supported ? { error, supported: extra.supported } : { error };
}

/** OpenAI's types. A failed run is never `server_error`: some clients retry that type without end. */
const types: Record<ErrorKind, string> = {
  invalid: 'invalid_request_error',
  unauthorized: 'authentication_error',
  not_found: 'not_found_error',
  failed: 'execution_failed',
  busy: 'overloaded_error',
  internal: 'api_error',
};

/** The codes for which OpenAI has another name that clients know. */
const codes: Partial<Record<ErrorCode, string>> = {
  unauthorized: 'invalid_api_key',
  unsupported_model: 'model_not_found',
  model_rate_limited: 'rate_limit_exceeded',
};

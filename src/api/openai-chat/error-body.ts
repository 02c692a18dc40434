/** Errors in the words of OpenAI: `{"error": {"message", "type", "param", "code"}}`. */
import type { ErrorCode, ErrorKind, ServiceError } from '../../errors.ts';

export function errorBody({ code, row, message, extra }: ServiceError): Record<string, unknown> {
  const error = { message, type: types[row.kind], param: extra.param ?? null, code: codes[code] ?? code };
  return extra.supported ? { error, supported: extra.supported } : { error };
}

/** Never `server_error` for a run that failed: some clients repeat those without end. */
const types: Record<ErrorKind, string> = {
  invalid: 'invalid_request_error',
  unauthorized: 'authentication_error',
  not_found: 'not_found_error',
  failed: 'execution_failed',
  busy: 'overloaded_error',
  internal: 'api_error',
};

/** Where OpenAI has a code of its own that clients know. */
const codes: Partial<Record<ErrorCode, string>> = {
  unauthorized: 'invalid_api_key',
  unsupported_model: 'model_not_found',
};

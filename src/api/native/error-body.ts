/** Renders errors in the words of the native API: `{"error": ..., "detail": ...}`. */
import type { ErrorCode, ServiceError } from '../../errors.ts';

export function errorBody(error: ServiceError): Record<string, unknown> {
  const { message, extra } = error;
  const word = wordOf(error);
  if (extra.supported) return { error: word, supported: extra.supported };
  return { error: word, detail: message };
}

/** The words that are not simply the code. The contract has one word for all failed runs, and one for all wrong fields. */
const words: Partial<Record<ErrorCode, string>> = {
  invalid_json: 'invalid request',
  job_queue_full: 'queue full',
  internal: 'internal error',
};

function wordOf({ code, row }: ServiceError): string {
  if (code !== 'job_queue_full' && (row.kind === 'failed' || row.kind === 'busy')) return 'execution failed';
  return words[code] ?? code.replaceAll('_', ' ');
}

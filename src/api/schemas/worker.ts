/**
 * Runs in its own thread: compiles JSON Schemas as the CLI does, and answers each with what is wrong with it, if
 * anything. Patterns are compiled too, but never matched. Each schema has its own compiler, so none affects another.
 */
import { parentPort } from 'node:worker_threads';
import { Ajv, type Options } from 'ajv';

const options: Options = {
  strict: false,
  validateFormats: false,
  logger: false,
  // The compiled code is not used, so it need not be fast. Both options take at least quadratic time.
  inlineRefs: false,
  code: { optimize: false },
};

/** Holds draft 7 compiled; it only reads the schemas. */
const reader = new Ajv(options);

function problemOf(schema: object): string | undefined {
  try {
    reader.validateSchema(schema, true);
    new Ajv({ ...options, validateSchema: false }).compile(schema);
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return 'is too complex to be compiled';
    return `is not a valid JSON Schema: ${(error as Error).message.slice(0, 300)}`;
  }
}

// Compiles draft 7 now, so that it does not count for the time of the first schema.
problemOf({ type: 'object' });
parentPort?.on('message', (json: string) => parentPort?.postMessage({ problem: problemOf(JSON.parse(json)) }));
parentPort?.postMessage('ready');

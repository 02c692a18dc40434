/**
 * Runs in a thread of its own: compiles JSON Schemas as the CLI would, and answers each with what is wrong with it, or
 * nothing. A pattern is compiled too, and never matched. No schema meets another: each has a compiler of its own.
 */
import { parentPort } from 'node:worker_threads';
import { Ajv, type Options } from 'ajv';

const options: Options = {
  strict: false,
  validateFormats: false,
  logger: false,
  // What is compiled is thrown away. Both take time that grows with the square of a schema, or faster.
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

// Compiles draft 7, so that the first schema need not wait for it within its time.
problemOf({ type: 'object' });
parentPort?.on('message', (json: string) => parentPort?.postMessage({ problem: problemOf(JSON.parse(json)) }));
parentPort?.postMessage('ready');

/**
 * Runs in its own thread. Compiles JSON Schemas the way the CLI does, and replies with the error of each schema, if
 * there is one. Regular expressions are compiled but never run. Each schema gets its own compiler, so that schemas
 * cannot affect each other.
 */
import { parentPort } from 'node:worker_threads';
import { Ajv, type Options } from 'ajv';
import { startOf } from '../../truncate.ts';

const options: Options = {
  strict: false,
  validateFormats: false,
  logger: false,
  // The compiled code is not used, so it need not be fast. Each of these two options would take at least quadratic
  // time.
  inlineRefs: false,
  code: { optimize: false },
};

/** Has the meta-schema of draft 7 compiled, and checks every schema against it. */
const reader = new Ajv(options);

function problemOf(schema: object): string | undefined {
  try {
    reader.validateSchema(schema, true);
    new Ajv({ ...options, validateSchema: false }).compile(schema);
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return 'is too complex to be compiled';
    return `is not a valid JSON Schema: ${startOf((error as Error).message, 300)}`;
  }
}

// Compiles the meta-schema now, so that this does not count for the time of the first schema.
problemOf({ type: 'object' });
parentPort?.on('message', (json: string) => parentPort?.postMessage({ problem: problemOf(JSON.parse(json)) }));
parentPort?.postMessage('ready');

/** Checks a request body against its shape. An error names the first field that is wrong. */
import { z } from 'zod';
import { invalidField, ServiceError } from '../errors.ts';
import { suggestionFor } from '../nearest.ts';

/**
 * Returns the checked body. Throws `invalid_json` if the body is not an object, and `invalid_request` if a field is
 * wrong.
 */
export function parseBody<Shape extends z.ZodType>(shape: Shape, body: unknown): z.infer<Shape> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ServiceError('invalid_json', 'Cannot read the request: the body must be a JSON object');
  }
  const parsed = shape.safeParse(body, firstFault);
  if (!parsed.success) throw fromZod(parsed.error);
  return parsed.data;
}

/** Returns the shape of an object that has no other fields. The error for another field suggests the nearest name. */
export function onlyFields<Fields extends z.ZodRawShape>(fields: Fields) {
  const names = Object.keys(fields);
  return z.strictObject(fields, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `there is no such field; ${suggestionFor(issue.keys[0] ?? '', names)}`
        : undefined,
  });
}

/**
 * An option that makes Zod stop at the first problem. Otherwise 100,000 wrong items would become as many problems,
 * which takes half a second. The option is not public, so a test checks that it works.
 */
export const firstFault: z.core.ParseContextInternal<z.core.$ZodIssue> = { abortEarly: true };

/** Returns an error for the first problem only, so that the message is one line and says what to fix first. */
export function fromZod(error: z.ZodError): ServiceError {
  const issue = error.issues[0] as z.core.$ZodIssue;
  const found = deepest(issue);
  const unknown = found.code === 'unrecognized_keys' ? found.keys.slice(0, 1) : [];
  return invalidField(pathOf([...found.path, ...unknown]), problemOf(found));
}

/** If Zod tried several shapes, returns the problem of the shape that matched furthest. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue;
  const meant = issue.errors.find((branch) => branch[0] && (branch[0].path.length > 0 || !isWrongType(branch[0])))?.[0];
  return meant ? deepest({ ...meant, path: [...issue.path, ...meant.path] }) : issue;
}

const isWrongType = (issue: z.core.$ZodIssue): boolean => issue.code === 'invalid_type';

function problemOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${nameOf(issue.expected)}`;
    case 'invalid_union': {
      const expected = issue.errors.flatMap(([first]) =>
        first?.code === 'invalid_type' ? [nameOf(first.expected)] : [],
      );
      return expected.length > 0 ? `must be ${[...new Set(expected)].join(' or ')}` : issue.message;
    }
    case 'too_small':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `must be at least ${issue.minimum}`
        : 'must not be empty';
    case 'too_big':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `must be at most ${issue.maximum}`
        : `must have at most ${issue.maximum} ${issue.origin === 'string' ? 'characters' : 'items'}`;
    case 'invalid_value':
      return issue.message.startsWith('Invalid')
        ? `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`
        : issue.message;
    default:
      return issue.message;
  }
}

const names: Record<string, string> = {
  string: 'a string',
  array: 'an array',
  object: 'an object',
  record: 'an object',
  boolean: 'true or false',
  number: 'a number',
  int: 'a whole number',
};

function nameOf(type: string): string {
  return names[type] ?? type;
}

/** Returns a path such as `messages[0].content`. Names that the client chose are cut, and kept on one line. */
function pathOf(path: PropertyKey[]): string {
  const text = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  const shown = text.slice(0, 200).replace(/[^\x20-\x7e]/g, '?');
  return shown.replace(/^\./, '') || 'body';
}

/** Reads the script in a user text. Each step is a marker such as `[[say: hello]]`. */

export type Step =
  | { do: 'say'; text: string }
  | { do: 'think'; text: string }
  /** Calls a tool, which ends the answer. The rest of the script follows after the result of the tool. */
  | { do: 'tool'; name: string; input: unknown }
  /** Calls the structured-output tool if the request offers it. Otherwise says the JSON. */
  | { do: 'json'; value: unknown }
  /** `times` is how often the same request fails before the rest of the script follows. `Infinity` means always. */
  | { do: 'error'; status: number; type: string; message: string; headers?: Record<string, string>; times: number }
  | { do: 'silence'; ms: number }
  | { do: 'stall' }
  /** The connection breaks: in the middle of a block that says `text`, or between two blocks if there is no text. */
  | { do: 'cut'; text?: string }
  /** The response ends without its end: in the middle of a block that says `text`, or after a block. */
  | { do: 'unended'; text?: string }
  /** The usage limit of the login is reached. It ends in so many seconds. */
  | { do: 'limit'; seconds: number }
  | { do: 'stop'; reason: string }
  | { do: 'usage'; tokens: Partial<Record<'input' | 'output' | 'cache_read' | 'cache_write', number>> };

/**
 * Returns the steps of a script. Throws an Error that names a marker that cannot be read, because a script with a
 * mistake must not count as a plain question.
 */
export function parseScript(text: string): Step[] {
  const steps: Step[] = [];
  const opening = /\[\[([a-z]+)(?::\s*|(?=\]\]))/g;
  for (let found = opening.exec(text); found; found = opening.exec(text)) {
    const [, name = ''] = found;
    const { argument, end } = readArgument(text, opening.lastIndex);
    opening.lastIndex = end;
    const step = readStep(name, argument);
    if (step) steps.push(step);
  }
  return steps;
}

/**
 * Returns the steps of one answer. Some steps, such as a tool call, end an answer, and the script then continues in the
 * next answer. Returns an empty list if the script is over.
 */
export function stepsDue(steps: Step[], answersGiven: number): Step[] {
  const answers: Step[][] = [[]];
  for (const step of steps) {
    const answer = answers.at(-1) ?? [];
    answer.push(step);
    if (endsAnswer(step, answer)) answers.push([]);
  }
  return answers[answersGiven] ?? [];
}

/**
 * Returns whether the rest of the script belongs to the next answer: the one after the result of a tool, after an answer
 * that broke off between two blocks, or in a further turn that the CLI begins by itself.
 */
function endsAnswer(step: Step, answer: Step[]): boolean {
  if (step.do === 'error' || step.do === 'cut' || step.do === 'unended') {
    return answer.some(({ do: kind }) => kind === 'say' || kind === 'think');
  }
  return step.do === 'tool' || step.do === 'json' || step.do === 'stop';
}

function readStep(name: string, argument: string): Step | undefined {
  switch (name) {
    case 'say':
    case 'think':
      return { do: name, text: argument };
    case 'words':
      return { do: 'say', text: countedWords(wholeNumber(name, argument)) };
    case 'tool': {
      const [, tool = '', input = '{}'] = /^(\S+)\s*(.*)$/s.exec(argument) ?? [];
      return { do: 'tool', name: tool, input: JSON.parse(input) };
    }
    case 'json':
      return { do: 'json', value: JSON.parse(argument) };
    case 'error':
      return readError(argument);
    case 'silence':
      return { do: 'silence', ms: wholeNumber(name, argument) };
    case 'stall':
      return { do: name };
    case 'cut':
    case 'unended':
      return { do: name, ...(argument !== '' && { text: argument }) };
    case 'limit':
      return { do: 'limit', seconds: wholeNumber(name, argument) };
    case 'stop':
      return { do: 'stop', reason: argument };
    case 'refuse':
      return { do: 'stop', reason: 'refusal' };
    case 'usage': {
      const pairs = argument.split(',').map((pair) => pair.trim().split('='));
      return { do: 'usage', tokens: Object.fromEntries(pairs.map(([key, value]) => [key, Number(value)])) };
    }
    default:
      throw new Error(`Cannot follow the script: there is no marker [[${name}]]`);
  }
}

/**
 * Reads `529 overloaded_error Overloaded`, or `529x2 overloaded_error Overloaded` for an error that is sent twice. With
 * `after 40` at its end, the answer has the header `retry-after: 40`.
 */
function readError(argument: string): Step {
  const [, status, times, type, message, after] =
    /^(\d{3})(?:x(\d+))?(?:\s+(\S+))?(?:\s+(.*?))??(?:\s+after (\d+))?$/s.exec(argument) ?? [];
  if (!status) throw new Error(`Cannot follow the script: [[error: ${argument}]] has no status`);
  return {
    do: 'error',
    status: Number(status),
    type: type ?? 'api_error',
    message: message ?? 'Scripted error',
    times: times ? Number(times) : Number.POSITIVE_INFINITY,
    ...(after && { headers: { 'retry-after': after } }),
  };
}

/**
 * Reads an argument, which ends at `]]`. An argument with JSON ends at the `]]` after the JSON, because the JSON may
 * contain `]]`.
 */
function readArgument(text: string, start: number): { argument: string; end: number } {
  const json = /^(?:[\w-]+\s*)?(?=\{)/.exec(text.slice(start, start + 200));
  const from = json ? endOfJson(text, start + json[0].length) : start;
  const end = text.indexOf(']]', from);
  if (end < 0) throw new Error(`Cannot follow the script: no ]] after "${text.slice(start, start + 40)}"`);
  return { argument: text.slice(start, end).trim(), end: end + 2 };
}

function endOfJson(text: string, start: number): number {
  let depth = 0;
  let quoted = false;
  for (let at = start; at < text.length; at += 1) {
    const character = text[at];
    if (quoted && character === '\\') at += 1;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && character === '{') depth += 1;
    else if (!quoted && character === '}') depth -= 1;
    if (depth === 0) return at + 1;
  }
  return start;
}

/** Returns `w1 w2 w3 ...`. The words are numbered so that a lost or repeated word is noticed. */
function countedWords(count: number): string {
  return Array.from({ length: count }, (_, index) => `w${index + 1}`).join(' ');
}

function wholeNumber(name: string, argument: string): number {
  if (!/^\d+$/.test(argument))
    throw new Error(`Cannot follow the script: [[${name}: ${argument}]] takes a whole number`);
  return Number(argument);
}

/** Finds the imports in a text of instructions: each `@path` outside code. The time grows linearly with the text. */

/** Returns the paths as they are written, without a `#section`. Leaves out paths that begin with `~`. */
export function importsIn(text: string): string[] {
  const lines = proseLines(text).filter((line) => line.includes('@'));
  const found = lines.flatMap((line) => [...withoutSpans(line).matchAll(/(?:^|\s)@((?:[^\s\\]|\\ )+)/g)]);
  return found
    .map(([, path = '']) => path.replaceAll('\\ ', ' ').replace(/#.*$/, ''))
    .filter((path) => path !== '' && !path.startsWith('~'));
}

/** Returns the lines outside fenced code blocks. */
function proseLines(text: string): string[] {
  let fence: string | undefined;
  return text.split('\n').filter((line) => {
    const [, mark] = /^ {0,3}(`{3,}|~{3,})/.exec(line) ?? [];
    if (fence === undefined) {
      fence = mark;
      return mark === undefined;
    }
    if (mark?.startsWith(fence) && line.trim() === mark) fence = undefined;
    return false;
  });
}

/**
 * Returns the line without its code spans. A code span begins with a group of backticks, and ends with the next group
 * that has the same number of backticks.
 */
function withoutSpans(line: string): string {
  const runs = [...line.matchAll(/`+/g)].map(({ 0: run, index }) => ({ start: index, end: index + run.length }));
  const closing = closingRuns(runs.map(({ start, end }) => end - start));
  let prose = '';
  let from = 0;
  for (let at = 0; at < runs.length; at += 1) {
    const close = closing[at];
    if (close === undefined) continue;
    prose += `${line.slice(from, runs[at]?.start)} `;
    from = runs[close]?.end ?? line.length;
    at = close;
  }
  return prose + line.slice(from);
}

/** Returns for each group of backticks the index of the next group of the same length. Undefined if there is none. */
function closingRuns(lengths: number[]): (number | undefined)[] {
  const next = new Map<number, number>();
  const closing: (number | undefined)[] = new Array(lengths.length);
  for (let at = lengths.length - 1; at >= 0; at -= 1) {
    const length = lengths[at] as number;
    closing[at] = next.get(length);
    next.set(length, at);
  }
  return closing;
}

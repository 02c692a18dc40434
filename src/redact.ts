/** Takes out of a text what a client must not read: keys, paths of the host, stacks. */

const maxLength = 500;

const rules: [pattern: RegExp, replacement: string][] = [
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colour sequences begin with ESC
  [/\u001b\[[0-9;?]*[A-Za-z]/g, ''],
  [/\b(sk|pk|rk|ghp|gho|ghs|glpat|xox[abp])[-_][A-Za-z0-9_-]{6,}/g, '[key]'],
  [/\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}/gi, '$1 [key]'],
  [/\b([A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD))(\s*[=:]\s*)\S+/gi, '$1$2[key]'],
  [/(\w+:\/\/)[^\s/@:]+:[^\s/@]+@/g, '$1[key]@'],
  [/^\s+at .+$/gm, ''],
  // A path of two or more parts that is no part of a URL.
  [/(?<![\w:/.])(?:~|\/[\w.@+-]+)(?:\/[\w.@+-]+)+\/?/g, '[path]'],
  [/\b[A-Za-z]:\\[^\s:]+/g, '[path]'],
];

/** One line, at most 500 characters. */
export function redact(text: string): string {
  const clean = rules.reduce((rest, [pattern, replacement]) => rest.replace(pattern, replacement), text.slice(0, 8192));
  const oneLine = clean.replace(/\s+/g, ' ').trim();
  return oneLine.length > maxLength ? `${oneLine.slice(0, maxLength - 1)}…` : oneLine;
}

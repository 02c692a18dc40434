/** Makes of what git printed one line that a client may read: the cause, without credentials and paths of the host. */

const limit = 300;

export function oneLine(stderr: string): string {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter(Boolean);
  const at = lines.findIndex((line) => /^(fatal|error): /.test(line));
  // What ssh or the remote said stands before git's own summary of it.
  const cause = /Could not read from remote repository/.test(lines[at] ?? '') ? lines[at - 1] : undefined;
  return clean((cause ?? lines[at] ?? lines.at(-1) ?? '').replace(/^(fatal|error): /, '')).slice(0, limit);
}

/** URLs lose their user, password and query; paths of the host lose all but their last part. */
export function clean(text: string): string {
  return text
    .replace(/file:\/\/(?=\/)/g, '')
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^/\s'"@]*@/gi, '$1')
    .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s'"?#]*)[?#][^\s'"]*/gi, '$1')
    .replace(/(['"])\/(?:[^'"/]*\/)*([^'"/]+)\/?\1/g, '$1$2$1')
    .replace(/(^|[\s(=,])(?:\/[^\s'"/:]+)*\/([^\s'"/:]+)\/?/g, '$1$2');
}

/**
 * Paths in a repository. A path is a sequence of bytes in any encoding, so it is kept as a string of the encoding
 * latin1, in which each character is one byte.
 */
import { isUtf8 } from 'node:buffer';

/** A path relative to the top of a working tree. Each character is one byte. */
export type BytePath = string;

/** Returns the path of a file below `folder`, for functions of the file system. */
export function pathBelow(folder: string, path: BytePath): Buffer {
  return Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path, 'latin1')]);
}

/**
 * Returns a path as clients see it. A path that is not UTF-8, or that begins with a quote, is quoted as git quotes
 * paths in a patch, such as `"caf\351.txt"`.
 */
export function shownPath(path: BytePath): string {
  const bytes = Buffer.from(path, 'latin1');
  return isUtf8(bytes) && !path.startsWith('"') ? bytes.toString('utf8') : quotedPath(path);
}

/** Returns a path in quotes, in which bytes other than printable ASCII are octal escapes. Git reads it in its input. */
export function quotedPath(path: BytePath): string {
  const escaped = path.replace(/["\\]|[^ -~]/g, (byte) =>
    byte === '"' || byte === '\\' ? `\\${byte}` : `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
  return `"${escaped}"`;
}

/** Returns the parts of an output in which each part ends with a NUL. */
export function partsOf(output: Buffer): string[] {
  return output.toString('latin1').split('\0').slice(0, -1);
}

/** Reads the images of a request: data URLs of the types and sizes that the model API takes. */
import { invalidField } from '../../errors.ts';
import type { Block } from '../../task.ts';

/** Limits of the Anthropic Messages API: length of the base64 text of one image, and images in one request. */
export const imageLimits = { base64Length: 5 * 1024 * 1024, count: 100 };

const dataUrl = /^\s*data:([a-z0-9.+/-]+)?(?:;[a-z0-9=._-]+)*;base64,/i;
const wellFormed = /^[A-Za-z0-9+/]+={0,2}$/;

/** @param param path of the part, for the error */
export function readImage(url: string, param: string): Block {
  const head = dataUrl.exec(url.slice(0, 200));
  if (!head) throw invalidField(param, refusalOf(url));
  const base64 = standardBase64(url.slice(head[0].length));
  if (base64.length > imageLimits.base64Length) {
    throw invalidField(
      param,
      `the image is too large: ${base64.length} base64 characters of ${imageLimits.base64Length}`,
    );
  }
  if (base64.length % 4 !== 0 || !wellFormed.test(base64)) throw invalidField(param, 'the image is not valid base64');
  const mediaType = typeOf(Buffer.from(base64.slice(0, 24), 'base64'));
  if (!mediaType) throw invalidField(param, 'the image must be a PNG, JPEG, GIF or WebP');
  return { type: 'image', mediaType, base64 };
}

/** Removes line breaks, which many encoders add, and adds padding, which some leave out. The model API refuses both. */
function standardBase64(text: string): string {
  const joined = /\s/.test(text) ? withoutWhiteSpace(text) : text;
  return joined.length % 4 < 2 || joined.endsWith('=') ? joined : joined + '='.repeat(4 - (joined.length % 4));
}

/** Replacing by a pattern would take a third of a second for megabytes of very short lines. */
function withoutWhiteSpace(text: string): string {
  const bytes = Buffer.from(text, 'latin1');
  let length = 0;
  for (const byte of bytes) {
    if (byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)) continue;
    bytes[length] = byte;
    length += 1;
  }
  return bytes.toString('latin1', 0, length);
}

/**
 * Finds the type by the first bytes, because the type that a client declares is often wrong, and the model API refuses
 * a wrong type.
 */
function typeOf(bytes: Buffer): string | undefined {
  const ascii = bytes.toString('latin1');
  if (ascii.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (ascii.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (ascii.startsWith('GIF87a') || ascii.startsWith('GIF89a')) return 'image/gif';
  if (ascii.startsWith('RIFF') && ascii.slice(8, 12) === 'WEBP') return 'image/webp';
  return undefined;
}

function refusalOf(url: string): string {
  if (/^https?:/i.test(url)) return 'the server fetches no remote images; send the image as a data: URL';
  if (/^file:/i.test(url)) return 'the server reads no files for a client; send the image as a data: URL';
  return 'must be a data: URL with base64 content, as data:image/png;base64,...';
}

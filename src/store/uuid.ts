/** Makes identifiers that sort by time: UUID version 7 (RFC 9562) with a counter within each millisecond. */
import { randomBytes } from 'node:crypto';

let lastMs = 0;
let count = 0;

/**
 * Returns a new identifier. It is greater than all earlier identifiers of this process, even when they are compared as
 * text.
 */
export function orderedUuid(nowMs: number): string {
  if (nowMs > lastMs) {
    lastMs = nowMs;
    count = 0;
  } else if (count < 0xfff) {
    count += 1;
  } else {
    lastMs += 1;
    count = 0;
  }
  const bytes = randomBytes(16);
  bytes.writeUIntBE(lastMs, 0, 6);
  bytes.writeUInt16BE(0x7000 | count, 6);
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/**
 * Frames of a segment file: 4 bytes CRC-32 of all that follows, 4 bytes length of the header, 4 bytes length of the
 * payload (big-endian), header (JSON), payload (raw bytes).
 */
import { crc32 } from 'node:zlib';

const prefix = 12;
/** No frame is larger, so a length beyond is damage. */
const maxPart = 256 << 20;

/** One frame as buffers to be written one after the other; the payload is not copied. */
export function encodeFrame(header: object, payload: Buffer): [Buffer, Buffer] {
  const json = Buffer.from(JSON.stringify(header));
  const head = Buffer.allocUnsafe(prefix + json.length);
  head.writeUInt32BE(json.length, 4);
  head.writeUInt32BE(payload.length, 8);
  json.copy(head, prefix);
  head.writeUInt32BE(crc32(payload, crc32(head.subarray(4))), 0);
  return [head, payload];
}

export interface Frame {
  /** Where it begins and ends in the file. */
  start: number;
  end: number;
  header: unknown;
  payloadAt: number;
}

/** The frame at an offset, or null where there is no whole and sound one. */
export function readFrame(file: Buffer, start: number): Frame | null {
  if (start + prefix > file.length) return null;
  const headerLength = file.readUInt32BE(start + 4);
  const payloadLength = file.readUInt32BE(start + 8);
  const payloadAt = start + prefix + headerLength;
  const end = payloadAt + payloadLength;
  if (headerLength < 2 || headerLength > maxPart || payloadLength > maxPart || end > file.length) return null;
  if (crc32(file.subarray(start + 4, end)) !== file.readUInt32BE(start)) return null;
  try {
    return { start, end, header: JSON.parse(file.toString('utf8', start + prefix, payloadAt)) as unknown, payloadAt };
  } catch {
    return null; // A checksum that fits by chance over what is no frame.
  }
}

/** Where the next sound frame begins after damage, or -1. Headers are JSON objects, which makes candidates rare. */
export function findFrame(file: Buffer, from: number): number {
  const brace = '{'.charCodeAt(0);
  for (let at = file.indexOf(brace, from + prefix); at >= 0; at = file.indexOf(brace, at + 1)) {
    if (readFrame(file, at - prefix)) return at - prefix;
  }
  return -1;
}

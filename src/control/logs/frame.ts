/**
 * Frames of a segment file: 4 bytes length of the header, 4 bytes length of the payload, 4 bytes CRC-32 of all else
 * (big-endian), header (JSON), payload (raw bytes).
 */
import { crc32 } from 'node:zlib';

const prefix = 12;
/** No frame is larger, so a length beyond is damage. */
const maxPart = 256 << 20;

/** One frame as buffers to be written one after the other; the payload is not copied. */
export function encodeFrame(header: object, payload: Buffer): [Buffer, Buffer] {
  const json = Buffer.from(JSON.stringify(header));
  const head = Buffer.allocUnsafe(prefix + json.length);
  head.writeUInt32BE(json.length, 0);
  head.writeUInt32BE(payload.length, 4);
  json.copy(head, prefix);
  head.writeUInt32BE(checksum(head.subarray(0, 8), json, payload), 8);
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
  const headerLength = file.readUInt32BE(start);
  const payloadLength = file.readUInt32BE(start + 4);
  const payloadAt = start + prefix + headerLength;
  const end = payloadAt + payloadLength;
  if (headerLength < 2 || headerLength > maxPart || payloadLength > maxPart || end > file.length) return null;
  const json = file.subarray(start + prefix, payloadAt);
  const payload = file.subarray(payloadAt, end);
  if (checksum(file.subarray(start, start + 8), json, payload) !== file.readUInt32BE(start + 8)) return null;
  try {
    return { start, end, header: JSON.parse(json.toString()) as unknown, payloadAt };
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

function checksum(lengths: Buffer, json: Buffer, payload: Buffer): number {
  return crc32(payload, crc32(json, crc32(lengths)));
}

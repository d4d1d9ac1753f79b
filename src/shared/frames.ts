/** Binary frames of the agent's link: 4 bytes big-endian header length, header JSON, raw bytes. */
import { PaasError } from './errors.ts';

const maxHeader = 64 * 1024;

/** One frame. The payload is copied once. */
export function encodeFrame(header: unknown, payload: Uint8Array): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  const frame = Buffer.allocUnsafe(4 + text.length + payload.length);
  frame.writeUInt32BE(text.length, 0);
  text.copy(frame, 4);
  frame.set(payload, 4 + text.length);
  return frame;
}

/** The header (to be parsed by its schema) and the payload, a view on `frame`. Throws `bad_request`. */
export function decodeFrame(frame: Buffer): { header: unknown; payload: Buffer } {
  const length = frame.length < 4 ? -1 : frame.readUInt32BE(0);
  if (length < 0 || length > maxHeader || length > frame.length - 4) {
    throw new PaasError('bad_request', `a frame of ${frame.length} bytes has no header of a valid length`);
  }
  try {
    const header: unknown = JSON.parse(frame.toString('utf8', 4, 4 + length));
    return { header, payload: frame.subarray(4 + length) };
  } catch (cause) {
    throw new PaasError('bad_request', "a frame's header is not JSON", { cause });
  }
}

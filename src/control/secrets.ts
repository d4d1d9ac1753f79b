/**
 * Sealing of values at rest: AES-256-GCM with the key of the data directory (0600). What is sealed names its place
 * (table, row) as associated data, so that a value copied to another row does not open.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { PaasError, errnoOf } from '../shared/errors.ts';
import { writeDurably } from '../shared/files.ts';

const prefix = 'v1.';
const keyBytes = 32;

export class Sealer {
  readonly #key: Buffer;

  /** @param key 32 bytes */
  constructor(key: Buffer) {
    this.#key = key;
  }

  seal(plain: string, place: string): string {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv);
    cipher.setAAD(Buffer.from(place));
    const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
    return prefix + Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64');
  }

  /** @throws PaasError `corrupt` when the value was changed, moved, or sealed with another key. */
  open(sealed: string, place: string): string {
    try {
      if (!sealed.startsWith(prefix)) throw new Error('unknown format');
      const bytes = Buffer.from(sealed.slice(prefix.length), 'base64');
      const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, 12), { authTagLength: 16 });
      decipher.setAAD(Buffer.from(place));
      decipher.setAuthTag(bytes.subarray(12, 28));
      return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8');
    } catch (cause) {
      throw new PaasError('corrupt', `A sealed value (${place}) does not open with the master key.`, {
        hint: 'Restore master.key that belongs to this database.',
        cause,
      });
    }
  }
}

/**
 * Reads the master key file, or makes it (0600, durable) when `create` and there is none.
 * @throws PaasError corrupt when it is missing or damaged
 */
export function loadSealer(file: string, create: boolean): Sealer {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    if (!create) {
      throw new PaasError('corrupt', `The master key ${file} is missing, but the database has sealed values.`, {
        hint: 'Restore the key file from a backup; without it the config values cannot be read.',
        cause: error,
      });
    }
    text = randomBytes(keyBytes).toString('base64') + '\n';
    writeDurably(file, text);
  }
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length === keyBytes) return new Sealer(key);
  throw new PaasError('corrupt', `The master key ${file} is damaged: it has ${key.length} bytes, not ${keyBytes}.`, {
    hint: 'Restore the key file from a backup; without it the config values cannot be read.',
  });
}

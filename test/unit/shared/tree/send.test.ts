import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PaasError } from '../../../../src/shared/errors.ts';
import { decodeDirectory } from '../../../../src/shared/tree/directory.ts';
import { sendTree, type UploadTransport } from '../../../../src/shared/tree/send.ts';
import { PackParser } from '../../../../src/shared/tree/unpack.ts';
import { walkTree } from '../../../../src/shared/tree/walk.ts';

type Call = 'missing' | 'beginUpload' | 'putChunk' | 'finish' | 'status';

/** A receiver in memory whose connection breaks on command, before or after a call takes effect. */
class Receiver implements UploadTransport {
  readonly objects = new Map<string, Buffer>();
  readonly calls: Call[] = [];
  readonly aborted: string[] = [];
  /** Asked before each call: what goes wrong with it. */
  fault: (call: Call, count: number) => 'before' | 'after' | 'forget' | undefined = () => undefined;
  received = 0;
  #uploads = new Map<string, { parts: Buffer[]; size: number; finished: boolean }>();
  #next = 1;

  async #call<T>(call: Call, action: () => T): Promise<T> {
    this.calls.push(call);
    const fault = this.fault(call, this.calls.filter((other) => other === call).length);
    await Promise.resolve();
    if (fault === 'forget') this.#uploads.clear();
    if (fault === 'before') throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
    const result = action();
    if (fault === 'after') throw new PaasError('outcome_unknown', 'the answer was lost');
    return result;
  }
  #upload(id: string) {
    const upload = this.#uploads.get(id);
    if (!upload) throw new PaasError('not_found', `There is no upload ${id}.`);
    return upload;
  }
  #complete(digest: string): boolean {
    const object = this.objects.get(digest);
    if (!object) return false;
    if (object.subarray(0, 11).toString() !== 'paas-tree-1') return true;
    return decodeDirectory(object).every((entry) => this.#complete(entry.digest));
  }

  missing = (digests: string[]): Promise<string[]> =>
    this.#call('missing', () => digests.filter((digest) => !this.#complete(digest)));
  beginUpload = (): Promise<{ id: string; offset: number }> =>
    this.#call('beginUpload', () => {
      const id = `up_${this.#next++}`;
      this.#uploads.set(id, { parts: [], size: 0, finished: false });
      return { id, offset: 0 };
    });
  putChunk = (id: string, offset: number, bytes: Buffer): Promise<{ offset: number }> =>
    this.#call('putChunk', () => {
      const upload = this.#upload(id);
      if (offset === upload.size) {
        upload.parts.push(Buffer.from(bytes));
        upload.size += bytes.length;
        this.received += bytes.length;
      } else if (offset + bytes.length !== upload.size) {
        throw new PaasError('conflict', 'another place');
      }
      return { offset: upload.size };
    });
  finish = (id: string): Promise<void> =>
    this.#call('finish', () => {
      const upload = this.#upload(id);
      const take = ({ digest }: { digest: string }, bytes: Buffer): void =>
        void this.objects.set(digest, Buffer.from(bytes));
      const parser = new PackParser(
        { object: take, begin: () => undefined, data: () => undefined, end: () => undefined },
        { wholeBytes: 1e9 },
      );
      for (const part of upload.parts) parser.write(part);
      parser.finish();
      upload.finished = true;
    });
  status = (id: string): Promise<{ offset: number; finished: boolean }> =>
    this.#call('status', () => ({ offset: this.#upload(id).size, finished: this.#upload(id).finished }));
  abort = (id: string): Promise<void> => Promise.resolve(void this.aborted.push(id));
}

describe('sendTree', () => {
  let base: string;
  let receiver: Receiver;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'paas-send-'));
    receiver = new Receiver();
    for (let d = 0; d < 10; d++) {
      mkdirSync(join(base, `d${d}`, 'deep', 'er'), { recursive: true });
      for (let f = 0; f < 10; f++) writeFileSync(join(base, `d${d}/deep/er/f${f}`), randomBytes(5_000));
    }
    symlinkSync('deep/er/f0', join(base, 'd0/link'));
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  const options = { chunkBytes: 50_000, patienceMs: 20_000 };

  it('sends all the first time, nothing the second, and only what changed the third', async () => {
    const first = await walkTree(base);
    const progress: number[] = [];
    const sent = await sendTree(first, receiver, { ...options, onProgress: (bytes) => progress.push(bytes) });
    expect(sent).toEqual({ files: 101, bytes: receiver.received });
    expect(progress.at(-1)).toBe(sent.bytes);
    expect(await receiver.missing([first.root])).toEqual([]);

    receiver.calls.length = 0;
    expect(await sendTree(await walkTree(base), receiver, options)).toEqual({ files: 0, bytes: 0 });
    expect(receiver.calls).toEqual(['missing']);

    receiver.calls.length = 0;
    writeFileSync(join(base, 'd3/deep/er/f3'), 'changed');
    const third = await walkTree(base);
    const again = await sendTree(third, receiver, options);
    expect(again.files).toBe(1);
    expect(again.bytes).toBeLessThan(7 + 10_000);
    expect(receiver.calls).toEqual(['missing', 'missing', 'missing', 'beginUpload', 'putChunk', 'finish']);
    expect(await receiver.missing([third.root])).toEqual([]);
  });

  it('asks in batches', async () => {
    await sendTree(await walkTree(base), receiver, { ...options, batch: 20 });
    expect(receiver.calls.filter((call) => call === 'missing')).toHaveLength(1 + 2 + 6);
  });

  it.each(['before', 'after'] as const)('goes on where a connection broke %s a call took effect', async (when) => {
    receiver.fault = (call, count) => (count === 1 || (call === 'putChunk' && count % 3 === 0) ? when : undefined);
    const tree = await walkTree(base);
    const retries: string[] = [];
    const { bytes } = await sendTree(tree, receiver, { ...options, onRetry: ({ message }) => retries.push(message) });
    expect(receiver.received).toBe(bytes);
    expect(retries.length).toBeGreaterThan(5);
    receiver.fault = () => undefined;
    expect(await receiver.missing([tree.root])).toEqual([]);
  });

  it('goes on in the middle of a chunk of which the receiver has kept a part', async () => {
    const tree = await walkTree(base);
    const whole = receiver.putChunk;
    let cuts = 0;
    receiver.putChunk = async (id, offset, bytes) => {
      if (cuts === 3 || bytes.length < 1000) return whole(id, offset, bytes);
      cuts++;
      await whole(id, offset, bytes.subarray(0, 777));
      throw new PaasError('outcome_unknown', 'killed in the middle of it');
    };
    const { bytes } = await sendTree(tree, receiver, options);
    expect(receiver.received).toBe(bytes);
    expect(receiver.calls.filter((call) => call === 'beginUpload')).toHaveLength(1);
    expect(await receiver.missing([tree.root])).toEqual([]);
  });

  it('does not wait for a receiver that has never answered', async () => {
    receiver.fault = () => 'before';
    const sending = sendTree(await walkTree(base), Object.assign(receiver, { isReached: () => false }), options);
    await expect(sending).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(receiver.calls).toEqual(['missing']);
  });

  it('starts anew when the receiver has forgotten the upload', async () => {
    receiver.fault = (call, count) => (call === 'putChunk' && count === 4 ? 'forget' : undefined);
    const tree = await walkTree(base);
    await sendTree(tree, receiver, options);
    expect(receiver.calls.filter((call) => call === 'beginUpload')).toHaveLength(2);
    receiver.fault = () => undefined;
    expect(await receiver.missing([tree.root])).toEqual([]);
  });

  it('gives up after its patience, and says that a repetition is cheap', async () => {
    receiver.fault = (call) => (call === 'putChunk' ? 'before' : undefined);
    const sending = sendTree(await walkTree(base), receiver, { ...options, patienceMs: 300 });
    await expect(sending).rejects.toMatchObject({ code: 'unavailable', hint: expect.stringContaining('Push again') });
  });

  it('does not repeat what the receiver refuses', async () => {
    receiver.finish = () => Promise.reject(new PaasError('disk_full', 'full'));
    await expect(sendTree(await walkTree(base), receiver, options)).rejects.toMatchObject({ code: 'disk_full' });
    expect(receiver.aborted).toEqual(['up_1']);
  });

  it.each([
    ['a file', (): void => writeFileSync(join(base, 'd5/deep/er/f5'), 'changed')],
    ['a file that is gone', (): void => unlinkSync(join(base, 'd5/deep/er/f5'))],
    [
      'a link',
      (): void => {
        unlinkSync(join(base, 'd0/link'));
        symlinkSync('deep', join(base, 'd0/link'));
      },
    ],
  ])('says so when %s changed since it was hashed, and leaves nothing half sent', async (_what, change) => {
    const tree = await walkTree(base);
    change();
    await expect(sendTree(tree, receiver, options)).rejects.toMatchObject({ code: 'source_changed' });
    expect(receiver.objects.size).toBe(0);
  });

  it('sends content that was kept in memory without reading it again', async () => {
    const tree = await walkTree(base, { retainBytes: 1e9 });
    for (let d = 0; d < 10; d++) rmSync(join(base, `d${d}/deep`), { recursive: true });
    await sendTree(tree, receiver, options);
    expect(await receiver.missing([tree.root])).toEqual([]);
  });

  it('stops when it is interrupted, and tells the receiver', async () => {
    const stop = new AbortController();
    const tree = await walkTree(base);
    const sending = sendTree(tree, receiver, { ...options, signal: stop.signal, onProgress: () => stop.abort() });
    await expect(sending).rejects.toMatchObject({ code: 'interrupted' });
    expect(receiver.aborted).toEqual(['up_1']);
  });
});

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { readFrame } from '../../../../src/control/logs/frame.ts';
import { encodeHead, segmentVersion } from '../../../../src/control/logs/segment.ts';
import { block, open, temporaryDirectory, texts, writeLines } from './store.ts';

const directory = temporaryDirectory();
const segments = (root: string): string[] => readdirSync(join(root, 'app')).sort();

describe('a log whose last segment was cut', () => {
  const lines = ['one', 'two', 'three'];
  let file: Buffer;
  /** Size of the file when so many lines were durable. */
  let sizes: number[];
  let root: string;
  beforeEach(async () => {
    root = directory();
    const { store } = await open(root);
    sizes = [];
    let offset = 0;
    for (const line of lines) {
      offset = await writeLines(store, [line], offset);
      sizes.push(statSync(join(root, 'app', '0000000001.seg')).size);
    }
    await store.close();
    file = readFileSync(join(root, 'app', '0000000001.seg'));
  });

  it('opens, whatever the place, and loses the torn part alone', async () => {
    for (let length = 0; length <= file.length; length++) {
      const cut = join(root, `cut-${length}`);
      mkdirSync(join(cut, 'app'), { recursive: true });
      writeFileSync(join(cut, 'app', '0000000001.seg'), file.subarray(0, length));
      const { store, notices } = await open(cut);
      const whole = sizes.filter((size) => size <= length).length;
      expect(await texts(store)).toEqual(lines.slice(0, whole));
      const headSize = readFrame(file, 0)!.end;
      const isWhole = [headSize, ...sizes].includes(length);
      expect(notices.length > 0).toBe(!isWhole);
      // The host sends again what was not acknowledged, and the line numbers go on.
      const stored = store.positions()[0]?.offset ?? 0;
      expect(stored).toBe(lines.slice(0, whole).join('\n').length + (whole > 0 ? 1 : 0));
      const rest = Buffer.from(lines.map((line) => `${line}\n`).join('')).subarray(stored);
      await store.append(block({ from: stored, to: stored + rest.length }), rest);
      await store.close();
      const again = await open(cut);
      expect(await texts(again.store)).toEqual(lines);
      expect(again.notices).toEqual([]);
      await again.store.close();
      rmSync(cut, { recursive: true });
    }
  }, 180_000);

  it('opens with any byte changed, says so, and shows what is lost as a gap where something follows', async () => {
    for (let place = 0; place < file.length; place++) {
      const damaged = Buffer.from(file);
      damaged[place]! ^= 0x55;
      writeFileSync(join(root, 'app', '0000000001.seg'), damaged);
      const { store, notices } = await open(root);
      expect(notices.length).toBeGreaterThan(0);
      const found = await texts(store);
      const survivors = lines.filter((line) => found.includes(line));
      expect(survivors.length).toBeGreaterThanOrEqual(2);
      // A cut or changed end looks like a torn write; anything before is counted.
      if (found.at(-1) === 'three' && survivors.length < 3) expect(found).toContain('gap 1');
      await store.close();
      for (const name of segments(root)) rmSync(join(root, 'app', name));
    }
  }, 180_000);
});

describe('a log of several segments', () => {
  const lines = Array.from({ length: 40 }, (_, i) => `line ${i}`);
  const small = { segmentBytes: 400 };

  it('knows positions and lines from the newest segment alone', async () => {
    const root = directory();
    const first = await open(root, small);
    await writeLines(first.store, ['quiet'], 0, { instance: 'ins_quiet', name: 'web.9' });
    await writeLines(first.store, lines);
    await first.store.close();
    expect(segments(root).length).toBeGreaterThan(3);
    rmSync(join(root, 'app', '0000000001.seg'));
    const { store, notices } = await open(root, small);
    expect(notices).toEqual([]);
    expect(store.positions(['ins_quiet'])).toEqual([{ instance: 'ins_quiet', stream: 'stdout', offset: 6 }]);
    const found = await texts(store);
    expect(found).toEqual(lines.slice(-found.length));
    expect(store.usage().droppedLines).toBe(lines.length + 1 - found.length);
    await store.close();
  });

  it('falls back on the segment before when the making of the newest was cut short', async () => {
    const root = directory();
    const first = await open(root, small);
    const end = await writeLines(first.store, lines);
    await first.store.close();
    const newest = segments(root).at(-1)!;
    const path = join(root, 'app', newest);
    const whole = readFileSync(path);
    const kept = segments(root).length;
    const other = join(root, 'app', `${String(Number(newest.slice(0, 10)) + 1).padStart(10, '0')}.seg`);
    writeFileSync(other, whole.subarray(0, 50));
    const { store, notices } = await open(root, small);
    expect(notices).toHaveLength(1);
    expect(await texts(store)).toEqual(lines);
    await writeLines(store, ['after'], end);
    expect(await texts(store)).toEqual([...lines, 'after']);
    expect(segments(root).filter((name) => name.endsWith('.seg')).length).toBeGreaterThanOrEqual(kept);
    await store.close();
  });

  it('shows a gap for damage in the middle and keeps everything else', async () => {
    const root = directory();
    const first = await open(root, small);
    await writeLines(first.store, lines);
    await first.store.close();
    const path = join(root, 'app', segments(root)[2]!);
    const file = readFileSync(path);
    const place = file.lastIndexOf('line ');
    file[place]! ^= 1;
    writeFileSync(path, file);
    const { store } = await open(root, small);
    const found = await texts(store);
    expect(found.filter((text) => text.startsWith('line'))).toHaveLength(lines.length - 1);
    await store.close();
  });

  it('of a later version is refused, not touched', async () => {
    const root = directory();
    mkdirSync(join(root, 'app'), { recursive: true });
    const head = {
      version: segmentVersion + 1,
      n: 1,
      ord: 0,
      createdAt: 0,
      droppedLines: 0,
      positions: [],
      segments: [],
    };
    const content = encodeHead(head);
    writeFileSync(join(root, 'app', '0000000001.seg'), content);
    await expect(open(root)).rejects.toMatchObject({ code: 'conflict' });
    expect(readFileSync(join(root, 'app', '0000000001.seg')).equals(content)).toBe(true);
  });
});

describe('whatever is sent, in whatever pieces', () => {
  it('comes out once and in order, over reopenings', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ lines: fc.integer({ min: 1, max: 5 }), back: fc.nat(30), reopen: fc.boolean() }), {
          minLength: 1,
          maxLength: 12,
        }),
        async (steps) => {
          const root = join(directory(), `run-${Math.random().toString(36).slice(2)}`);
          let { store } = await open(root, { segmentBytes: 300 });
          const expected: string[] = [];
          let sent = Buffer.alloc(0);
          for (const { lines, back, reopen } of steps) {
            const begin = Math.max(0, sent.length - back);
            for (let i = 0; i < lines; i++) {
              expected.push(`line ${expected.length}`);
              sent = Buffer.concat([sent, Buffer.from(`${expected.at(-1)!}\n`)]);
            }
            const done = store.append(block({ from: begin, to: sent.length }), sent.subarray(begin));
            if (!reopen) continue;
            await done;
            await store.close();
            ({ store } = await open(root, { segmentBytes: 300 }));
          }
          expect(await texts(store)).toEqual(expected);
          await store.close();
        },
      ),
      { numRuns: 40 },
    );
  });
});

import { describe, expect, it } from 'vitest';
import { Writable } from 'node:stream';
import { cliReference, errorsReference } from '../../../../src/cli/ui/reference.ts';
import { LogRenderer } from '../../../../src/cli/ui/log-lines.ts';
import { Progress } from '../../../../src/cli/ui/progress.ts';
import { sinceOf } from '../../../../src/cli/ui/since.ts';
import { coloured, mayColour, plain } from '../../../../src/cli/ui/style.ts';
import { tableLines, widthOf } from '../../../../src/cli/ui/table.ts';
import { ago, spell, spellBytes } from '../../../../src/cli/ui/times.ts';
import { Ui } from '../../../../src/cli/ui/ui.ts';
import { run } from '../../../../src/cli/run.ts';
import { fakeStreams } from '../commands/support.ts';

describe('references (written anew by `npm run docs`)', () => {
  it('docs/cli.md is what the commands say', async () => {
    await expect(await cliReference()).toMatchFileSnapshot('../../../../docs/cli.md');
  });
  it('docs/errors.md is what the table says', async () => {
    await expect(errorsReference()).toMatchFileSnapshot('../../../../docs/errors.md');
  });
});

describe('colour', () => {
  it.each([
    [{ isTTY: true }, {}, true],
    [{ isTTY: false }, {}, false],
    [{ isTTY: true }, { NO_COLOR: '1' }, false],
    [{ isTTY: true }, { NO_COLOR: '' }, true],
    [{ isTTY: true }, { PAAS_COLOR: '0' }, false],
    [{ isTTY: true }, { CI: 'true' }, false],
    [{ isTTY: true }, { TERM: 'dumb' }, false],
  ])('%j with %j: %s', (stream, env, expected) => {
    expect(mayColour(stream, env)).toBe(expected);
  });
});

describe('a table', () => {
  it('lines up, whatever the characters', () => {
    expect(
      tableLines(
        ['NAME', 'N#'],
        [
          ['é', '1'],
          ['日本', '10'],
          [coloured.red('x'), '100'],
        ],
        (text) => text,
      ),
    ).toEqual(['NAME    N', 'é       1', '日本   10', `${coloured.red('x')}     100`]);
    expect(widthOf(coloured.bold('ab'))).toBe(2);
  });
  it('lets no control character of a cell reach the terminal', () => {
    const { streams, stdout } = fakeStreams();
    new Ui({ json: false, env: {}, streams }).table(['A'], [['x\u001b]0;evil\u0007\ny']]);
    return new Promise(setImmediate).then(() => expect(stdout()).toBe('A\nx ]0;evil y\n'));
  });
});

describe('a reader that is gone', () => {
  it('ends quietly', async () => {
    const { streams } = fakeStreams();
    const broken = Object.assign(
      new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error('EPIPE'), { code: 'EPIPE' })) }),
      { isTTY: false },
    );
    const ui = new Ui({ json: false, env: {}, streams: { ...streams, stdout: broken as never } });
    ui.line('x');
    await new Promise((resolve) => ui.closed.addEventListener('abort', resolve));
    await ui.write('more');
    await ui.flush();
  });
});

it('a full disk behind standard output is an error, not silence', async () => {
  const { streams, stderr } = fakeStreams();
  const full = (_chunk: unknown, _encoding: unknown, done: (error: Error) => void): void => {
    done(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }));
  };
  const stdout = Object.assign(new Writable({ write: full }), { isTTY: false });
  const code = await run(['--help'], { PAAS_HOME: '/nowhere' }, { ...streams, stdout: stdout as never });
  expect({ code, stderr: stderr() }).toEqual({ code: 7, stderr: expect.stringContaining('no space left') as string });
});

describe('progress', () => {
  it('is one moving line on a terminal, which leaves nothing behind', async () => {
    const { streams, stderr, stdout } = fakeStreams('', true);
    const progress = new Progress(new Ui({ json: true, env: {}, streams }));
    progress.at('Sending', '(1 of 2)');
    progress.at('Rolling out');
    progress.say('web.1 is healthy');
    progress.stop();
    await new Promise(setImmediate);
    expect(stdout()).toBe('');
    expect(stderr()).toMatch(/Rolling out[^\n]*\r\u001b\[2Kweb\.1 is healthy\n/);
    expect(stderr().endsWith('\r\u001b[2K')).toBe(true);
  });
  it('is plain lines elsewhere, each said once', async () => {
    const { streams, stderr } = fakeStreams();
    const progress = new Progress(new Ui({ json: false, env: {}, streams }));
    for (const detail of ['(1)', '(2)', '(3)']) progress.at('Sending', detail);
    progress.stop();
    await new Promise(setImmediate);
    expect(stderr()).toBe('Sending\n');
  });
});

describe('words', () => {
  it.each([
    [340, '0.3 s'],
    [12_000, '12 s'],
    [60_000, '1 min'],
    [185_000, '3 min 5 s'],
    [7_800_000, '2 h 10 min'],
  ])('%i ms: %s', (ms, text) => {
    expect(spell(ms)).toBe(text);
  });
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 KB'],
    [3_440_000, '3.4 MB'],
    [200_000_000, '200 MB'],
    [2_000_000_000, '2.0 GB'],
  ])('%i bytes: %s', (bytes, text) => {
    expect(spellBytes(bytes)).toBe(text);
  });
  it('ages', () => {
    const now = Date.parse('2026-11-21T10:00:00Z');
    expect(
      ['2026-11-21T09:59:30Z', '2026-11-21T09:50:00Z', '2026-11-20T10:00:00Z', '2026-11-01T10:00:00Z', null].map(
        (iso) => ago(iso, now),
      ),
    ).toEqual(['30s', '10m', '24h', '20d', '-']);
  });
  it('times to begin at', () => {
    const now = Date.parse('2026-11-21T10:00:00Z');
    expect(sinceOf('--since', '10m', now)).toBe('2026-11-21T09:50:00.000Z');
    expect(sinceOf('--since', '2026-11-21T09:00+01:00', now)).toBe('2026-11-21T08:00:00.000Z');
    for (const text of ['10', 'yesterday', '2026-13-45', '999999999999d'])
      expect(() => sinceOf('--since', text, now)).toThrow('--since');
  });
});

describe('log lines', () => {
  it('have the colour of their process, the same for all its instances', () => {
    const renderer = new LogRenderer(coloured);
    const line = (instance: string) =>
      renderer.line({
        ts: 't',
        app: 'a',
        process: 'web',
        instance,
        release: 1,
        source: 'app',
        stream: 'stdout',
        seq: 1,
        line: 'x',
      });
    const colour = (text: string) => /m(?:web\.\d \|)/.exec(text)?.index;
    expect(colour(line('web.1'))).toBe(colour(line('web.2')));
    expect(new LogRenderer(plain).gap({ instance: '*', from: 'a', to: 'b', count: 3, bytes: 10 })).toBe(
      '!!! at least 3 lines (10 bytes) of all instances are missing between a and b\n',
    );
  });
});

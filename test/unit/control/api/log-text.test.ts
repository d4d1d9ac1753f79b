import { describe, expect, it } from 'vitest';
import { LogText } from '../../../../src/control/api/log-text.ts';
import type { LogEntry } from '../../../../src/control/logs/port.ts';

describe('log entries as NDJSON', () => {
  it('are the same as each written by itself, whatever changes from line to line', () => {
    const first = { ts: '2024-01-01T00:00:00.000Z', process: 'web', instance: 'web.1', release: 1, stream: 'stdout' };
    const line = (change: object): LogEntry =>
      ({ ...first, source: 'app', seq: 1, line: 'plain', ...change }) as LogEntry;
    const entries = [
      ...[
        line({}),
        line({ seq: 2, line: 'a "quoted" \\ line\twith \u0000 and \ud800' }),
        line({ seq: 3, partial: true }),
      ],
      { gap: { instance: 'web.1', from: first.ts, to: first.ts, count: 3 } },
      ...[line({ stream: 'stderr' }), line({ instance: 'web.2' }), line({ release: null }), line({ source: 'router' })],
      ...[line({ ts: '2024-01-01T00:00:01.000Z' }), line({ process: 'worker' })],
    ];
    const app = 'an "app"';
    const lines = new LogText(app).of(entries).trimEnd().split('\n');
    expect(lines.map((text) => JSON.parse(text) as unknown)).toEqual(
      entries.map((entry) => ('gap' in entry ? entry : { ...entry, app })),
    );
  });
});

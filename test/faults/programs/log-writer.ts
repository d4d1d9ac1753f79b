/** Appends numbered lines of several instances to a log store for ever and prints each acknowledged position. */
import { writeSync } from 'node:fs';
import { openSegmentLogStore } from '../../../src/control/logs/segments.ts';
import type { LogBlock } from '../../../src/shared/contracts/agent.ts';

const root = process.argv[2]!;
const store = await openSegmentLogStore({ root, segmentBytes: 10_000, commitMs: 2, notice: () => undefined });

async function write(instance: string): Promise<void> {
  let offset = store.positions([instance])[0]?.offset ?? 0;
  for (let number = offset / 10; ;) {
    let text = '';
    for (const end = number + 7; number < end; number++) text += `${String(number).padStart(9, '0')}\n`;
    const payload = Buffer.from(text);
    const block: LogBlock = {
      ...{ type: 'logs', instance, name: instance, appId: 'app', processType: 'web', release: 1, source: 'app' },
      ...{ stream: 'stdout', from: offset, to: offset + payload.length, ts: new Date().toISOString() },
      ...{ partial: false, dropped: { bytes: 0, lines: 0 } },
    };
    const position = await store.append(block, payload);
    offset = position.offset;
    writeSync(1, `${instance} ${offset}\n`);
  }
}

await Promise.all([write('ins_a'), write('ins_b'), write('ins_c')]);

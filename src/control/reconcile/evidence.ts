import type { Control } from '../context.ts';

/** The last lines of an instance's or build's output, for an error message. Best effort: none when there are none. */
export async function lastLines(
  control: Control,
  appId: string,
  what: { instance: string; n: number },
): Promise<string[]> {
  const lines: string[] = [];
  for await (const batch of control.logs.query({ appId, instance: what.instance, tail: what.n })) {
    for (const entry of batch) if ('line' in entry && entry.source !== 'platform') lines.push(entry.line);
  }
  return lines;
}

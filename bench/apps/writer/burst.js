/** Writes numbered lines of 64 bytes to standard output in one go. `node burst.js LINES` by hand, or from the server. */
import { writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** @returns milliseconds that the writing took; the lines are made before */
export function burst(lines) {
  const filler = 'x'.repeat(50);
  const texts = Array.from({ length: lines }, (_, i) => `burst ${String(i).padStart(7, '0')} ${filler.slice(1)}\n`);
  const all = Buffer.from(texts.join(''));
  const started = performance.now();
  for (let at = 0; at < all.length;) at += writeSync(1, all, at, Math.min(65_536, all.length - at));
  return performance.now() - started;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.stderr.write(`${burst(Number(process.argv[2]))}\n`);
}

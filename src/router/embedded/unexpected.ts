/** What should not happen, and yet must not end the process: goes to its standard error, which is kept. */

/** An error that comes with every request must not fill the disk. */
const most = 100;
let told = 0;

/** @param where what was going on: `accepting on 0.0.0.0 80` */
export function unexpected(where: string, error: unknown): void {
  if (++told > most) return;
  process.emitWarning(`${where}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
}

/** When an instance that ended is started again. Pure. */

const immediate = 3;
const firstMs = 5000;
/** No wait is longer; what looks longer comes from a clock that was set back. */
export const longestMs = 5 * 60_000;

/** After running healthy for so long an instance counts as well again. */
export const steadyMs = 60_000;

/**
 * Milliseconds to wait before the next start.
 * @param crashes ends in a row so far, the present one included: the first 3 restart at once, then 5 s, 10 s, … 5 min
 */
export function restartDelay(crashes: number): number {
  return crashes <= immediate ? 0 : Math.min(firstMs * 2 ** (crashes - immediate - 1), longestMs);
}

const longestAbsenceMs = 15_000;

/** Milliseconds to wait for a control plane that is out of reach, after so many tries in a row: 1 s, 2 s, … 15 s. */
export function absenceDelay(tries: number): number {
  return Math.min(1000 * 2 ** (tries - 1), longestAbsenceMs);
}

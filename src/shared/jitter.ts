/**
 * Between half of a waiting time and all of it, by chance ("equal jitter"), for what is tried again: those who failed
 * together do not come back together, and nobody comes back at once, when the trouble and the clock are the same still.
 * @param ms the longest wait
 * @param random from 0 to 1
 */
export const equalJitter = (ms: number, random: () => number = Math.random): number => ms * (0.5 + random() / 2);

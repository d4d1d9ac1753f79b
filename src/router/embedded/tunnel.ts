import type { Socket } from 'node:net';

/**
 * Joins two sockets: bytes both ways with back-pressure, half-closes passed on, an end with an error ends both.
 * @param done called once, when both are closed
 */
export function tunnel(one: Socket, other: Socket, done: () => void): void {
  let left = 2;
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => {
      // 'close' follows, and ends the other side.
    });
    const closed = (): void => {
      to.destroySoon();
      if (--left === 0) done();
    };
    if (from.closed) closed();
    else from.once('close', closed);
    from.pipe(to);
  }
}

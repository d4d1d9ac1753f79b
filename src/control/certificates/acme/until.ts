/** Waiting for a certificate authority or for routers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AuthorityError } from './problem.ts';

const limitMs = 5 * 60_000;

/** Somebody changed or removed the certificate that is being asked for. */
export class Overtaken extends Error {}

/** A request to the authority, whose end a server that stops does not wait for. */
export async function unlessStopped<T>(signal: AbortSignal, request: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    request.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

/**
 * Asks again and again, more and more slowly, until there is an answer.
 * @throws AuthorityError when there is none within 5 minutes; the signal's reason when it aborts
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | null> | T | null,
  { signal }: { signal: AbortSignal },
): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (let wait = 100; ; wait = Math.min(wait * 1.5, 5000)) {
    signal.throwIfAborted();
    const answer = await ask();
    if (answer !== null) return answer;
    if (Date.now() > deadline) throw new AuthorityError(`waited 5 minutes for ${what}`);
    await sleep(wait, undefined, { signal });
  }
}

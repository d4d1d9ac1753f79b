/** The proof that a host name is the platform's: HTTP-01 (RFC 8555, 8.3), answered by the routers. */
import type { Order } from 'acme-client';
import type { Control } from '../../context.ts';
import type { AcmeClient } from './client.ts';
import { AuthorityError, described } from './problem.ts';
import { unlessStopped, until } from './until.ts';

export interface Proving {
  control: Control;
  client: AcmeClient;
  /** The authority's host, for messages. */
  authority: string;
  /** Puts a challenge (json {token, answer}) where the route table is made from. */
  write: (challenge: string) => Promise<void>;
  signal: AbortSignal;
}

/**
 * Proves what the order still asks for.
 * @throws AuthorityError with its reason, or where no router takes the answer up
 */
export async function prove({ control, client, authority, write, signal }: Proving, order: Order): Promise<void> {
  for (const authorization of await unlessStopped(signal, client.getAuthorizations(order))) {
    if (authorization.status === 'valid') continue;
    const challenge = authorization.challenges.find(({ type }) => type === 'http-01');
    if (!challenge) throw new AuthorityError(`${authority} offers no HTTP-01 for ${authorization.identifier.value}`);
    const answer = await client.getChallengeKeyAuthorization(challenge);
    const { token } = challenge;
    await write(JSON.stringify({ token, answer }));
    await until('the routers to have the answer to the challenge', () => control.routing.answers(token) || null, {
      signal,
    });
    if (challenge.status === 'pending') await unlessStopped(signal, client.completeChallenge(challenge));
    await until(
      `${authority} to look at the challenge`,
      async () => {
        // The order's authorizations, since the library asks for single ones in no other way.
        const one = { ...order, authorizations: [authorization.url] };
        const all = await unlessStopped(signal, client.getAuthorizations(one));
        const [{ status, challenges }] = all as [(typeof all)[number]];
        if (status === 'valid') return true;
        if (status === 'pending') return null;
        const failed = challenges.find(({ error }) => error !== undefined);
        throw described(authority, failed?.error, `the authorization is ${status}`);
      },
      { signal },
    );
  }
}

/** What is decided of a request before an instance is looked for. */
import type { LiveBackend } from '../endpoints.ts';
import type { RouteTarget } from '../../table.ts';
import { challengeResponse, problems, redirectResponse } from '../../pages.ts';
import { problemReply, type Reply } from './answer.ts';
import type { HttpContext } from './context.ts';
import { clientAddress, type Hop, type RequestFacts } from './request-fields.ts';
import type { Target } from './target.ts';

const challengePath = '/.well-known/acme-challenge/';

/** The answer to a certificate authority that looks whether a host is ours; null for all other requests. */
export function challengeReply(context: HttpContext, method: string, { path }: Target): Reply | null {
  const { challenges } = context;
  if (!challenges || !path.startsWith(challengePath) || (method !== 'GET' && method !== 'HEAD')) return null;
  const answer = challenges.get(path.slice(challengePath.length));
  return answer === undefined ? null : { status: 200, text: (to) => challengeResponse(answer, to) };
}

/** To the same place over TLS, for a route that wants it, a request that came without and a router that speaks it. */
export function httpsReply(
  context: HttpContext,
  route: RouteTarget,
  { host, origin }: Target,
  { forwarded }: RequestFacts,
  hop: Hop,
): Reply | null {
  if (!route.https || hop.secure || (hop.trusted && forwarded.proto.toLowerCase() === 'https')) return null;
  const port = context.tlsPort();
  if (port === null) return null;
  const location = `https://${host}${port === 443 ? '' : `:${port}`}${origin}`;
  return { status: 308, text: (to) => redirectResponse(location, to) };
}

/** Why an app's limits do not let a request in; null where they do. */
export function refusal({ app, limits }: LiveBackend, facts: RequestFacts, hop: Hop): Reply | null {
  if (!limits) return null;
  const wait = limits.rate ? limits.rate.take(clientAddress(facts, hop), performance.now()) : 0;
  if (wait > 0) return problemReply(problems.tooMany(app, wait));
  return facts.framing > limits.maxBodyBytes ? problemReply(problems.bodyTooLarge(app, limits.maxBodyBytes)) : null;
}

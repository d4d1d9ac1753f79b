/**
 * What every router driver must do. A driver's test calls this with a way to make a running router:
 * `routerConformance('embedded', makeEmbedded)`.
 */
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import type { RouterStatus, RouteTable } from '../../src/shared/contracts/routes.ts';
import { badRequests } from './router/bad-requests.ts';
import { draining } from './router/draining.ts';
import { failing } from './router/failing.ts';
import { gray } from './router/gray.ts';
import { grpc } from './router/grpc.ts';
import { http2 } from './router/http2.ts';
import { ejecting } from './router/ejecting.ts';
import { lifecycle } from './router/lifecycle.ts';
import { limiting } from './router/limiting.ts';
import { maintenance } from './router/maintenance.ts';
import { proxying } from './router/proxying.ts';
import { restarting } from './router/restarting.ts';
import { routing } from './router/routing.ts';
import { streaming } from './router/streaming.ts';
import { tls } from './router/tls.ts';
import { tracing } from './router/tracing.ts';
import { traffic } from './router/traffic.ts';
import { CleanUp, portOf, tableOf, type MakeRouter, type RouterUnderTest, type TestApp } from './router/support.ts';

/**
 * What a driver's program cannot do, or does in a way of its own that HTTP leaves to it:
 * trailers, interim (103): ends here; lines: takes a bare LF for a line's end (RFC 9112, 2.2); framing: takes an answer
 * with contradicting lengths, and frames it anew; early: closes behind an early answer without having said so; duplex:
 * stops sending a large body when its answer has begun; h2c: no HTTP/2 without TLS on its own side;
 * order: several processes read what clients send, so that nobody knows which of two requests came first;
 * handover: connections at rest end with the process that has them; failover: a TCP connection that an instance refuses
 * ends, and the next ones go elsewhere.
 */
export type Lack =
  'trailers' | 'interim' | 'lines' | 'framing' | 'early' | 'duplex' | 'h2c' | 'order' | 'handover' | 'failover';

/** A running router for the tests of one part, and what they need around it. */
export interface Bench {
  readonly made: RouterUnderTest;
  readonly port: number;
  readonly url: string;
  readonly cleanUp: CleanUp;
  readonly lacks: readonly Lack[];
  /** Starts the router again, perhaps at another port: somebody else may have taken its own. */
  startAgain(): Promise<RouterStatus>;
  /** Puts a table of these apps in force. */
  serve(apps: Record<string, TestApp>, more?: Partial<RouteTable>): Promise<RouterStatus>;
}

export function routerConformance(name: string, make: MakeRouter, lacks: readonly Lack[] = []): void {
  describe(`router ${name}`, () => {
    const cleanUp = new CleanUp();
    let made: RouterUnderTest;
    let url = '';
    const bench: Bench = {
      get made() {
        return made;
      },
      get port() {
        return portOf(url);
      },
      get url() {
        return url;
      },
      cleanUp,
      lacks,
      startAgain: async () => {
        const status = await made.router.start();
        ({ url } = status);
        return status;
      },
      serve: (apps, more) => made.router.apply(tableOf(apps, more)),
    };
    beforeAll(async () => {
      made = await make({ tlsPort: 0 });
      url = (await made.router.observe()).url;
    });
    afterEach(() => cleanUp.run());
    afterAll(() => made.dispose());

    describe('routing', () => routing(bench));
    describe('gray rules', () => gray(bench));
    describe('proxying', () => proxying(bench));
    describe('streaming', () => streaming(bench));
    describe('bad requests', () => badRequests(bench));
    describe('failing instances', () => failing(bench));
    describe('draining', () => draining(bench));
    describe('traces and access logs', () => tracing(bench));
    describe('traffic', () => traffic(bench));
    describe('TLS', () => tls(bench, make));
    describe('HTTP/2', () => http2(bench));
    describe('gRPC and h2c', () => grpc(bench));
    describe('limits', () => limiting(bench, make));
    describe('outliers', () => ejecting(bench));
    describe('maintenance and challenges', () => maintenance(bench));
    describe('lifecycle', () => lifecycle(make));
    describe('restarting', () => restarting(make, lacks));
  });
}

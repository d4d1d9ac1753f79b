/**
 * What every router driver must do. A driver's test calls this with a way to make a running router:
 * `routerConformance('embedded', makeEmbedded)`.
 */
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import { badRequests } from './router/bad-requests.ts';
import { draining } from './router/draining.ts';
import { failing } from './router/failing.ts';
import { gray } from './router/gray.ts';
import { lifecycle } from './router/lifecycle.ts';
import { proxying } from './router/proxying.ts';
import { restarting } from './router/restarting.ts';
import { routing } from './router/routing.ts';
import { streaming } from './router/streaming.ts';
import { tracing } from './router/tracing.ts';
import { traffic } from './router/traffic.ts';
import { CleanUp, portOf, tableOf, type MakeRouter, type RouterUnderTest, type TestApp } from './router/support.ts';

/** A running router for the tests of one part, and what they need around it. */
export interface Bench {
  readonly made: RouterUnderTest;
  readonly port: number;
  readonly url: string;
  readonly cleanUp: CleanUp;
  /** Puts a table of these apps in force. */
  serve(apps: Record<string, TestApp>): Promise<void>;
}

export function routerConformance(name: string, make: MakeRouter): void {
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
      serve: async (apps) => {
        await made.router.apply(tableOf(apps));
      },
    };
    beforeAll(async () => {
      made = await make({ responseTimeoutMs: 1000 });
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
    describe('lifecycle', () => lifecycle(make));
    describe('restarting', () => restarting(make));
  });
}

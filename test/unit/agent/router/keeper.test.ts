/** How an agent keeps a router that does not start. */
import { expect, it } from 'vitest';
import { createLog } from '../../../../src/agent/log.ts';
import { keepRouter } from '../../../../src/agent/router.ts';
import type { Router } from '../../../../src/router/port.ts';
import type { RouterStatus } from '../../../../src/shared/contracts/routes.ts';
import { PaasError } from '../../../../src/shared/errors.ts';

const status: RouterStatus = { version: 0, url: 'http://127.0.0.1:1', driver: 'fake', open: {}, problems: [] };

it('tells once why the router does not run, again to a new link, and its status as soon as it does', async () => {
  let why: PaasError | null = new PaasError('tool_missing', 'There is no nginx.', { hint: 'Install it.' });
  let starts = 0;
  const attempt = (): Promise<RouterStatus> => {
    starts++;
    return why ? Promise.reject(why) : Promise.resolve(status);
  };
  const router: Router = {
    accessLogs: '',
    start: attempt,
    observe: attempt,
    apply: attempt,
    traffic: () => Promise.reject(new Error('not asked')),
    stop: () => Promise.resolve(),
  };
  const told: (string | number)[] = [];
  const keeper = keepRouter(
    router,
    createLog(() => undefined),
    ({ version }) => void told.push(version),
    (reason) => void told.push(reason),
  );
  const reason = 'There is no nginx. Install it.';
  await expect.poll(() => starts).toBeGreaterThan(1);
  expect(told).toEqual([reason]);
  keeper.tellAgain();
  expect(told).toEqual([reason, reason]);
  why = null;
  await expect.poll(() => told).toEqual([reason, reason, 0]);
  keeper.tellAgain();
  expect(told).toEqual([reason, reason, 0, 0]);
  await keeper.close();
});

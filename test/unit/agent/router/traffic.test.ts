import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '../../../../src/agent/log.ts';
import { watchTraffic, type TrafficWatch } from '../../../../src/agent/router-traffic.ts';
import type { AgentMessage } from '../../../../src/shared/contracts/agent.ts';
import type { RouterTraffic } from '../../../../src/shared/contracts/routes.ts';
import { PaasError } from '../../../../src/shared/errors.ts';
import { eventually } from '../../../support/eventually.ts';

const count = (release: number, requests: number): RouterTraffic['counts'][number] => ({
  ...{ appId: 'app_1', release, classes: [0, requests, 0, 0, 0], latency: [requests], open: 0 },
});

let seen: RouterTraffic;
let failing: Error | undefined;
let looks: number;
let told: RouterTraffic[];
let isUp: boolean;
let logged: string;
let watch: TrafficWatch;
beforeEach(() => {
  seen = { epoch: 'a', counts: [] };
  failing = undefined;
  looks = 0;
  told = [];
  isUp = true;
  logged = '';
  watch = watchTraffic(
    {
      traffic: () => {
        looks++;
        return failing ? Promise.reject(failing) : Promise.resolve(structuredClone(seen));
      },
    },
    {
      send: (message: AgentMessage) => {
        if (isUp && message.type === 'traffic') told.push(message.traffic);
        return isUp;
      },
      log: createLog((line) => (logged += line)),
      intervalMs: 1,
    },
  );
});
afterEach(() => watch.stop());

const afterLook = async (): Promise<void> => {
  const before = looks;
  await eventually(() => looks).toBeGreaterThan(before + 1);
};

describe('the word about the traffic of a router', () => {
  it('has all at first, then what changed, and is not repeated', async () => {
    seen = { epoch: 'a', counts: [count(1, 5), count(2, 1)] };
    watch.start();
    await afterLook();
    expect(told).toEqual([seen]);
    seen = { epoch: 'a', counts: [count(1, 5), count(2, 3)] };
    await afterLook();
    expect(told.slice(1)).toEqual([{ epoch: 'a', counts: [count(2, 3)] }]);
  });

  it('has all again when the router or the link begins anew', async () => {
    watch.start();
    await afterLook();
    seen = { epoch: 'b', counts: [count(1, 1)] };
    await afterLook();
    watch.stop();
    watch.start();
    await afterLook();
    expect(told).toEqual([{ epoch: 'a', counts: [] }, seen, seen]);
  });

  it('waits for a link, and for a router that does not answer', async () => {
    isUp = false;
    failing = new PaasError('unavailable', 'The router does not run.');
    watch.start();
    await afterLook();
    failing = undefined;
    seen = { epoch: 'a', counts: [count(1, 1)] };
    await afterLook();
    isUp = true;
    await afterLook();
    expect(told).toEqual([seen]);
    expect(logged).toBe('');
  });

  it('says when a router answers nonsense', async () => {
    failing = new Error('no JSON');
    watch.start();
    await afterLook();
    expect(logged).toContain('the traffic of the router cannot be read');
  });
});

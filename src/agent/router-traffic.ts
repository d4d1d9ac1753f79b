/**
 * Tells the control plane what the router answered: about every second, while the link is up, what changed since it was
 * told last. The first word of a link has all.
 */
import type { AgentMessage } from '../shared/contracts/agent.ts';
import type { RouterTraffic } from '../shared/contracts/routes.ts';
import { PaasError } from '../shared/errors.ts';
import type { Router } from '../router/port.ts';
import { errorFields, type Log } from './log.ts';

const everyMs = 1000;

export interface TrafficWatch {
  /** The link is up. */
  start(): void;
  /** The link is down. */
  stop(): void;
}

/**
 * @param send hands a message over; false: the link is down
 * @param intervalMs for tests
 */
export function watchTraffic(
  router: Pick<Router, 'traffic'>,
  options: { send(message: AgentMessage): boolean; log: Log; intervalMs?: number },
): TrafficWatch {
  let timer: NodeJS.Timeout | undefined;
  /** Of this link: the life of the counters, and what was said of each release. Undefined: nothing yet. */
  let told: { epoch: string; counts: Map<string, string> } | undefined;
  /** Raised with every link: an answer that was asked for on an earlier one is no word on this one. */
  let link = 0;

  const look = async () => {
    const mine = link;
    let traffic: RouterTraffic | undefined;
    try {
      traffic = await router.traffic();
    } catch (error) {
      // A router that does not answer is the keeper's business, who says so and starts it again.
      const down = error instanceof PaasError && (error.code === 'unavailable' || error.code === 'timeout');
      if (!down) options.log.warn('the traffic of the router cannot be read', errorFields(error));
    }
    if (mine !== link) return;
    if (traffic) tell(traffic);
    timer = setTimeout(() => void look(), options.intervalMs ?? everyMs);
  };

  const tell = (traffic: RouterTraffic) => {
    const before = told?.epoch === traffic.epoch ? told.counts : undefined;
    const counts = new Map(traffic.counts.map((count) => [`${count.appId}/${count.release}`, JSON.stringify(count)]));
    const changed = before
      ? traffic.counts.filter(({ appId, release }) => {
          const key = `${appId}/${release}`;
          return before.get(key) !== counts.get(key);
        })
      : traffic.counts;
    if (before && changed.length === 0) return;
    if (options.send({ type: 'traffic', traffic: { epoch: traffic.epoch, counts: changed } }))
      told = { epoch: traffic.epoch, counts };
  };

  return {
    start() {
      clearTimeout(timer);
      told = undefined;
      link++;
      void look();
    },
    stop() {
      clearTimeout(timer);
      link++;
    },
  };
}

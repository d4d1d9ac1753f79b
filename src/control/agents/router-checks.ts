/** Asks a router, through its host's agent, whether it would take an app's own configuration. */
import type { StepResult } from '../../shared/contracts/steps.ts';
import { fromErrorBody, PaasError } from '../../shared/errors.ts';
import { newId } from '../../shared/ids.ts';
import type { SnippetProblem } from '../../shared/nginx/snippet.ts';
import type { Hub } from './hub.ts';

const waitMs = 20_000;

/** Checks live as long as the request that asks: one that a restart of the server cuts off is asked anew by its client. */
export class RouterChecks {
  readonly #hub: Pick<Hub, 'send'>;
  readonly #waiting = new Map<string, { hostId: string; resolve: (result: StepResult) => void }>();

  constructor(hub: Pick<Hub, 'send'>) {
    this.#hub = hub;
  }

  /**
   * @returns what is wrong, by line; none: the router takes it
   * @throws PaasError `unavailable` (the host's agent is not connected), `timeout`, or why the router cannot tell
   */
  async check(host: { id: string; name: string }, snippet: string, timeoutMs = waitMs): Promise<SnippetProblem[]> {
    const id = newId('chk');
    let timer: NodeJS.Timeout | undefined;
    try {
      const result = await new Promise<StepResult>((resolve, reject) => {
        this.#waiting.set(id, { hostId: host.id, resolve });
        if (!this.#hub.send(host.id, { type: 'step', step: { kind: 'router-check', id, snippet } })) {
          const text = `The agent of the router host ${host.name} is not connected; it has to check the configuration.`;
          reject(new PaasError('unavailable', text, { hint: 'Nothing was changed. See `paas hosts`.' }));
        }
        timer = setTimeout(() => {
          this.#hub.send(host.id, { type: 'stepCancel', id });
          const text = `Waited ${timeoutMs / 1000} s for the router on ${host.name} to check the configuration.`;
          reject(new PaasError('timeout', text, { hint: 'Nothing was changed. See `paas hosts` and `paas status`.' }));
        }, timeoutMs);
      });
      if (result.ok) return result.problems ?? [];
      throw fromErrorBody(result.error ?? { code: 'internal', message: 'The router did not say what is wrong.' });
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  /** An agent's result; those of other steps, and of checks that nobody waits for, are passed over. */
  finished(hostId: string, result: StepResult): void {
    const waiting = this.#waiting.get(result.id);
    if (waiting?.hostId === hostId) waiting.resolve(result);
  }
}

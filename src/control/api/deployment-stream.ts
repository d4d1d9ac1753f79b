/** The stream of a deployment: what happens, what its build prints, and at the end the deployment itself. */
import type { LogEntry } from '../logs/port.ts';
import { presentDeployment } from '../deploy/deployments.ts';
import type { DeploymentRow } from '../store/schema.ts';
import type { Call } from './define.ts';
import { openSse, Pulse, type Sse } from './sse.ts';

/** Answers a request with it. A client that was cut off goes on after the last id that it got. */
export async function streamDeployment(call: Call<unknown>, { id, app_id: appId }: DeploymentRow): Promise<void> {
  const { control } = call;
  const sse = openSse(call);
  const pulse = new Pulse();
  const unlisten = control.events.listen((event) => {
    if (event.appId === appId) pulse.beat();
  });
  const place = new Place(call.request.headers['last-event-id']);
  const output = new BuildOutput(call, appId, sse, place);
  try {
    for (;;) {
      const row = await control.store.db.selectFrom('deployments').selectAll().where('id', '=', id).executeTakeFirst();
      for (const event of await control.events.list({ deploymentId: id, afterSeq: place.event, limit: 1000 })) {
        place.event = event.seq;
        const { ts, kind, message, details } = event;
        sse.send('progress', { ts, kind, message, details }, place.id);
      }
      if (!row || sse.closed.aborted) break;
      if (row.finished_at !== null) {
        await output.rest(row.build_id);
        sse.send('end', await presentDeployment(control, row));
        break;
      }
      output.follow(row.build_id);
      // Events tell of nearly everything at once; the interval is for what changes without one.
      await pulse.wait(500, sse.closed);
    }
  } finally {
    unlisten();
    await output.stop().finally(() => sse.end());
  }
}

/** How far a client got: `EVENT`, or with output of a build `EVENT;BUILD;LINE`. */
class Place {
  event: number;
  build: string;
  /** The number of the last line of that build's. */
  line: number;

  constructor(id: string | string[] | undefined) {
    const [event, build = '', line] = String(id ?? '').split(';');
    this.event = Number(event) || 0;
    this.build = build;
    this.line = Number(line) || 0;
  }

  get id(): string {
    return this.build === '' ? String(this.event) : `${this.event};${this.build};${this.line}`;
  }
}

class BuildOutput {
  readonly #call: Call<unknown>;
  readonly #appId: string;
  readonly #sse: Sse;
  readonly #place: Place;
  readonly #stopped = new AbortController();
  // A build whose host failed is followed by another one.
  readonly #following = new Map<string, Promise<void>>();

  constructor(call: Call<unknown>, appId: string, sse: Sse, place: Place) {
    this.#call = call;
    this.#appId = appId;
    this.#sse = sse;
    this.#place = place;
  }

  /** Sends what a build printed and prints, from now on. */
  follow(build: string | null): void {
    if (build === null || this.#following.has(build)) return;
    const following = this.#follow(build);
    following.catch(() => undefined); // A failure is told by `stop`.
    this.#following.set(build, following);
  }

  /** Sends what a build printed and was not sent yet. */
  async rest(build: string | null): Promise<void> {
    await this.stop();
    if (build === null) return;
    const send = this.#sender(build);
    for await (const entries of this.#call.control.logs.query({ appId: this.#appId, instance: build })) {
      if (this.#sse.closed.aborted) return;
      send(entries);
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#following.values());
  }

  async #follow(build: string): Promise<void> {
    const send = this.#sender(build);
    const query = { appId: this.#appId, instance: build };
    for await (const { entries } of this.#call.control.logs.follow(query, this.#stopped.signal)) send(entries);
  }

  /** Leaves out what the client got before. */
  #sender(build: string): (entries: LogEntry[]) => void {
    const place = this.#place;
    const known = place.build === build ? place.line : 0;
    return (entries) => {
      for (const entry of entries) {
        if ('gap' in entry || entry.seq <= known) continue;
        place.line = place.build === build ? Math.max(place.line, entry.seq) : entry.seq;
        place.build = build;
        const { ts, line, stream } = entry;
        this.#sse.send('progress', { ts, kind: 'output', message: line, details: { stream } }, place.id);
      }
    };
  }
}

/** The order of a driver's calls: one after the other, and of the tables that wait only the last is put in force. */
import type { RouterStatus, RouteTable } from '../shared/contracts/routes.ts';

export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  /** The apply that waits for its turn; a later one takes its place. */
  #waiting: { table: RouteTable; done: Promise<RouterStatus> } | null = null;

  /** Runs `action` when everything before it has ended, however it did. */
  take<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(action);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** `put` of the newest table there is when its turn comes; who was overtaken gets the same answer. */
  apply(table: RouteTable, put: (latest: RouteTable) => Promise<RouterStatus>): Promise<RouterStatus> {
    if (this.#waiting) {
      this.#waiting.table = table;
      return this.#waiting.done;
    }
    const done = this.take(() => {
      const latest = this.#waiting?.table ?? table;
      this.#waiting = null;
      return put(latest);
    });
    this.#waiting = { table, done };
    return done;
  }
}

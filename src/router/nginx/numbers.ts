/**
 * Small numbers for things with long names: where nginx keeps the counts of an endpoint or of a release. A name keeps
 * its number for as long as it may be counted; a number that is free again is given out last.
 */
export class Numbers {
  readonly #byName = new Map<string, number>();
  readonly #free: number[] = [];
  #next = 0;
  readonly #most: number;

  /** @param most how many there can be */
  constructor(most: number) {
    this.#most = most;
  }

  /** Takes up what was given out before. */
  static from(most: number, known: Iterable<readonly [string, number]>): Numbers {
    const numbers = new Numbers(most);
    for (const [name, number] of known) {
      numbers.#byName.set(name, number);
      numbers.#next = Math.max(numbers.#next, number + 1);
    }
    const taken = new Set(numbers.#byName.values());
    for (let number = 0; number < numbers.#next; number++) if (!taken.has(number)) numbers.#free.push(number);
    return numbers;
  }

  /** One more than the largest number given out so far. */
  get end(): number {
    return this.#next;
  }

  get size(): number {
    return this.#byName.size;
  }

  entries(): IterableIterator<[string, number]> {
    return this.#byName.entries();
  }

  /** @returns the number, and whether it was given out just now; null where there are too many */
  take(name: string): { number: number; fresh: boolean } | null {
    const known = this.#byName.get(name);
    if (known !== undefined) return { number: known, fresh: false };
    const number = this.#next < this.#most ? this.#next++ : this.#free.shift();
    if (number === undefined) return null;
    this.#byName.set(name, number);
    return { number, fresh: true };
  }

  release(name: string): void {
    const number = this.#byName.get(name);
    if (number === undefined) return;
    this.#byName.delete(name);
    this.#free.push(number);
  }
}

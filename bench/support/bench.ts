/** One benchmark: a few rows that are measured together. */
export interface Bench {
  /** `group.what`; its rows' names begin with it. */
  name: string;
  run: () => Promise<void>;
}

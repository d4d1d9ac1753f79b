import { openCloud, cloudDrivers } from '../clouds/registry.ts';
import type { CloudDriver } from '../clouds/port.ts';
import { PaasError } from '../shared/errors.ts';
import type { Sealer } from './secrets.ts';
import type { Store, Trx } from './store/open.ts';

/** The IaaS accounts that this platform knows; their configurations are sealed, since they hold keys. */
export class Clouds {
  readonly #store: Store;
  readonly #sealer: Sealer;
  readonly #platform: string;
  readonly #open = new Map<string, { sealed: string; driver: CloudDriver }>();

  constructor(store: Store, sealer: Sealer, platform: string) {
    this.#store = store;
    this.#sealer = sealer;
    this.#platform = platform;
  }

  /** The driver of a cloud, opened once per configuration. Throws `not_found`. */
  async driver(name: string): Promise<CloudDriver> {
    const row = await this.#store.db.selectFrom('clouds').selectAll().where('name', '=', name).executeTakeFirst();
    if (!row) throw new PaasError('not_found', `There is no cloud ${name}.`, { hint: 'See `paas clouds`.' });
    const known = this.#open.get(name);
    if (known?.sealed === row.config) return known.driver;
    const config: unknown = JSON.parse(this.#sealer.open(row.config, `clouds/${name}`));
    const driver = openCloud(row.driver, config, { platform: this.#platform });
    this.#open.set(name, { sealed: row.config, driver });
    return driver;
  }

  /** Adds a cloud or replaces its configuration, after checking it against the driver's schema. */
  async put(name: string, driver: string, config: Record<string, unknown>, trx?: Trx): Promise<void> {
    openCloud(driver, config, { platform: this.#platform });
    const sealed = this.#sealer.seal(JSON.stringify(config), `clouds/${name}`);
    await (trx ?? this.#store.db)
      .insertInto('clouds')
      .values({ name, driver, config: sealed, created_at: Date.now() })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ driver, config: sealed }))
      .execute();
  }

  /** A cloud's configuration without its secrets, for people. */
  async describe(name: string): Promise<Record<string, unknown>> {
    const row = await this.#store.db
      .selectFrom('clouds')
      .selectAll()
      .where('name', '=', name)
      .executeTakeFirstOrThrow();
    const config = JSON.parse(this.#sealer.open(row.config, `clouds/${name}`)) as Record<string, unknown>;
    const entry = Object.hasOwn(cloudDrivers, row.driver)
      ? cloudDrivers[row.driver as keyof typeof cloudDrivers]
      : null;
    const secret = new Set(entry?.secrets ?? Object.keys(config));
    return Object.fromEntries(Object.entries(config).filter(([key]) => !secret.has(key)));
  }
}

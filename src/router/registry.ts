/** Router drivers by the name that user-data carries. Adding one: a line here and a line in test/conformance. */
import { PaasError } from '../shared/errors.ts';
import { createEmbeddedRouter } from './embedded/driver.ts';
import { createNginxRouter } from './nginx/driver.ts';
import type { Router, RouterConfig, RouterFactory } from './port.ts';

export const routerDrivers: Readonly<Record<string, RouterFactory>> = {
  embedded: createEmbeddedRouter,
  nginx: createNginxRouter,
};

/** @throws PaasError `unsupported` for a name that no driver has */
export function createRouter(driver: string, config: RouterConfig): Router {
  const factory = Object.hasOwn(routerDrivers, driver) ? routerDrivers[driver] : undefined;
  if (!factory) {
    throw new PaasError('unsupported', `There is no router driver "${driver}".`, {
      hint: `Known drivers: ${Object.keys(routerDrivers).join(', ')}.`,
    });
  }
  return factory(config);
}

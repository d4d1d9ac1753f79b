/** What routers do for an app besides routing, as it is kept with the app and as it stands in the route table. */
import type { Backend, Limits, Outlier } from '../../shared/contracts/routes.ts';
import type { Schema } from '../store/schema.ts';

/** Out of the manifest's `router`. */
export interface RouterSettings {
  protocol?: 'http' | 'h2c' | undefined;
  limits?: Limits | undefined;
  outlier?: Outlier | undefined;
}

/** Of the page that an app in maintenance shows. */
export interface Maintenance {
  /** HTML; absent: the router's own page. */
  page?: string | undefined;
}

/** An app's part of its backends. */
export function routerPolicy(
  app: Pick<Schema['apps'], 'router' | 'maintenance' | 'nginx'>,
): Pick<Backend, 'protocol' | 'limits' | 'outlier' | 'maintenance' | 'nginx'> {
  const { protocol, limits, outlier } = app.router === null ? {} : (JSON.parse(app.router) as RouterSettings);
  const maintenance = app.maintenance === null ? undefined : (JSON.parse(app.maintenance) as Maintenance);
  return {
    ...(protocol === undefined ? {} : { protocol }),
    ...(limits === undefined ? {} : { limits }),
    ...(outlier === undefined ? {} : { outlier }),
    ...(maintenance === undefined ? {} : { maintenance }),
    ...(app.nginx === null ? {} : { nginx: app.nginx }),
  };
}

/** What routers do for an app besides routing, as it is kept with the app and as it stands in the route table. */
import type { RouterSettings } from '../../shared/contracts/app-spec.ts';
import type { Backend } from '../../shared/contracts/routes.ts';
import type { Schema } from '../store/schema.ts';

/** An app in maintenance, as its column keeps it. */
export interface Maintenance {
  /** HTML; absent: the router's own page. */
  page?: string | undefined;
  by: string;
  /** ms since 1970 */
  since: number;
}

export const maintenanceOf = (app: Pick<Schema['apps'], 'maintenance'>): Maintenance | null =>
  app.maintenance === null ? null : (JSON.parse(app.maintenance) as Maintenance);

/** Settings as a release keeps them; null where there are none. */
export const routerColumn = (settings: RouterSettings | undefined): string | null =>
  settings === undefined || Object.keys(settings).length === 0 ? null : JSON.stringify(settings);

export const routerSettingsOf = (row: { router: string | null }): RouterSettings =>
  row.router === null ? {} : (JSON.parse(row.router) as RouterSettings);

/** An app's part of its backends. */
export function routerPolicy(
  app: Pick<Schema['apps'], 'router' | 'maintenance' | 'nginx'>,
): Pick<Backend, 'protocol' | 'limits' | 'outlier' | 'maintenance' | 'nginx'> {
  const { protocol, limits, outlier } = routerSettingsOf(app);
  const maintenance = maintenanceOf(app);
  return {
    ...(protocol === undefined ? {} : { protocol }),
    ...(limits === undefined ? {} : { limits }),
    ...(outlier === undefined ? {} : { outlier }),
    ...(maintenance === null ? {} : { maintenance: maintenance.page === undefined ? {} : { page: maintenance.page } }),
    ...(app.nginx === null ? {} : { nginx: app.nginx }),
  };
}

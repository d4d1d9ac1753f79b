/** Apps in the store: finding them, and the addresses they have by themselves. */
import type { AppRow } from '../store/schema.ts';
import type { Db, Trx } from '../store/open.ts';
import type { Formation, ManifestMemory } from './types.ts';
import { PaasError } from '../../shared/errors.ts';
import { newId } from '../../shared/ids.ts';

export interface AppName {
  project: string;
  environment: string;
  name: string;
}

export async function findApp(db: Db | Trx, { project, environment, name }: AppName): Promise<AppRow | undefined> {
  return db
    .selectFrom('apps')
    .selectAll()
    .where('project', '=', project)
    .where('environment', '=', environment)
    .where('name', '=', name)
    .executeTakeFirst();
}

/** @throws PaasError not_found */
export async function requireApp(db: Db | Trx, name: AppName): Promise<AppRow> {
  const app = await findApp(db, name);
  if (app) return app;
  throw new PaasError('not_found', `There is no app ${name.name} in ${name.project}/${name.environment}.`, {
    hint: 'See `paas apps`; `paas push` makes one.',
  });
}

export async function insertApp(trx: Trx, name: AppName): Promise<AppRow> {
  return trx
    .insertInto('apps')
    .values({
      id: newId('app'),
      ...name,
      state: 'active',
      release: null,
      epoch: 0,
      last_release: 0,
      config_version: 0,
      formation: '{}',
      manifest: '{"processes":{},"config":{},"routes":[]}',
      active_deployment: null,
      created_at: Date.now(),
      gray: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

export const formationOf = (app: Pick<AppRow, 'formation'>): Formation => JSON.parse(app.formation) as Formation;
export const manifestOf = (app: Pick<AppRow, 'manifest'>): ManifestMemory => JSON.parse(app.manifest) as ManifestMemory;

/** ` -a shop -p store -e prod`, for commands in hints: who reads them may have another project or environment at hand. */
export function appFlags({ project, environment, name }: AppName): string {
  const flags = [
    ` -a ${name}`,
    project === 'default' ? '' : ` -p ${project}`,
    environment === 'dev' ? '' : ` -e ${environment}`,
  ];
  return flags.join('');
}

/** `shop.localhost` for the default project and environment, `shop-prod-store.localhost` otherwise. */
export function defaultHost({ project, environment, name }: AppName, domain: string): string {
  const label = project === 'default' && environment === 'dev' ? name : `${name}-${environment}-${project}`;
  return `${label}.${domain}`;
}

/**
 * An app's address as a URL that goes through a router (`http://127.0.0.1:8080`): with TLS where plain requests are sent
 * on to it.
 */
export function urlOf(
  route: { host: string; path: string; https: boolean },
  { url, tlsUrl }: { url: string | null; tlsUrl: string | null },
): string {
  const through = route.https && tlsUrl !== null ? tlsUrl : url;
  const router = through === null ? null : new URL(through);
  const port = router?.port ? `:${router.port}` : '';
  const host = route.host.startsWith('*.') ? `any${route.host.slice(1)}` : route.host;
  return `${router?.protocol ?? 'http:'}//${host}${port}${route.path === '/' ? '' : route.path}`;
}

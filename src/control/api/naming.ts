/** Which app a request is about, and the record of who changed it. */
import { PaasError } from '../../shared/errors.ts';
import { requireApp, type AppName } from '../deploy/apps.ts';
import type { Db, Trx } from '../store/open.ts';
import type { AppRow } from '../store/schema.ts';
import type { Call } from './define.ts';

export const appPath = '/v1/projects/:project/environments/:environment/apps/:app';

export const nameOf = (params: Record<string, string>): AppName => ({
  project: params['project'] ?? '',
  environment: params['environment'] ?? '',
  name: params['app'] ?? '',
});

/** @throws PaasError not_found, and conflict while it is being destroyed: whatever changes an app asks in its transaction */
export const appOf = (
  { control, params }: Pick<Call<unknown>, 'control' | 'params'>,
  db: Db | Trx = control.store.db,
): Promise<AppRow> => requireApp(db, nameOf(params)).then(refuseDestroying);

export function refuseDestroying(app: AppRow): AppRow {
  if (app.state !== 'destroying') return app;
  throw new PaasError('conflict', `${app.name} is being destroyed.`, {
    hint: 'Wait until `paas apps` no longer shows it.',
  });
}

export async function audit(
  call: Call<unknown>,
  kind: string,
  app: { id: string; name: string },
  message: string,
  more: { deployment?: string; details?: Record<string, unknown> } = {},
): Promise<void> {
  await call.control.events.record({ kind, actor: call.principal.name, app, message, ...more });
}

/** Which app a request is about, and the record of who changed it. */
import { PaasError } from '../../shared/errors.ts';
import { requireApp, type AppName } from '../deploy/apps.ts';
import type { AppRow } from '../store/schema.ts';
import type { Call } from './define.ts';

export const appPath = '/v1/projects/:project/environments/:environment/apps/:app';

export const nameOf = (params: Record<string, string>): AppName => ({
  project: params['project'] ?? '',
  environment: params['environment'] ?? '',
  name: params['app'] ?? '',
});

export const appOf = (call: Pick<Call<unknown>, 'control' | 'params'>): Promise<AppRow> =>
  requireApp(call.control.store.db, nameOf(call.params)).then(refuseDestroying);

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

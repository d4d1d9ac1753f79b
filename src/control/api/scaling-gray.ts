/** Scaling a release that runs beside the stable one (`paas scale --release v13 web=2`). */
import type * as z from 'zod/mini';
import type * as api from '../../shared/contracts/api.ts';
import { formationOf } from '../deploy/apps.ts';
import { insertDeployment, presentDeployment } from '../deploy/deployments.ts';
import { grayColumn, grayOf, scaleGray } from '../deploy/gray.ts';
import { releaseRow } from '../deploy/push.ts';
import type { ReleaseProcesses } from '../deploy/types.ts';
import type { Call } from './define.ts';
import { appOf, audit } from './naming.ts';

/** @throws PaasError conflict where the release does not run beside the stable one, and as a scale of that */
export async function scaleRelease(
  call: Call<z.infer<typeof api.scaleRequest>>,
  release: number,
): Promise<z.infer<typeof api.scaleResponse>> {
  const { control } = call;
  const app = await appOf(call);
  const { changed, ...answer } = await call.commit(async (trx) => {
    const present = await appOf(call, trx);
    const row = await releaseRow(control, app.id, release, trx);
    const processes = row ? (JSON.parse(row.processes) as ReleaseProcesses) : {};
    const { state, formation, changed } = scaleGray(
      { name: present.name, stable: present.release, gray: grayOf(present), formation: formationOf(present) },
      release,
      processes,
      call.body,
      control.settings.cluster,
    );
    if (changed.length === 0) return { formation, deployment: null, changed };
    await trx
      .updateTable('apps')
      .set({ gray: grayColumn(state) })
      .where('id', '=', app.id)
      .execute();
    const actor = call.principal.name;
    const deployment = await insertDeployment(trx, app.id, { kind: 'scale', actor, state: 'rolling', release });
    return { formation, deployment: await presentDeployment(control, deployment, trx), changed };
  });
  if (changed.length > 0) {
    const more = answer.deployment ? { deployment: answer.deployment.id } : {};
    await audit(call, 'app.scale', app, `scaled v${release}: ${changed.join(', ')}`, more);
  }
  control.wake.app(app.id);
  return answer;
}

import type { Control } from '../context.ts';
import type { AppRow, DeploymentRow } from '../store/schema.ts';

/** What the platform did with an app, as an event of its deployment and a line in its log. */
export async function note(
  control: Control,
  app: AppRow,
  deployment: DeploymentRow,
  kind: string,
  message: string,
): Promise<void> {
  await control.events.record({
    kind,
    actor: 'platform',
    app: { id: app.id, name: app.name },
    deployment: deployment.id,
    message,
  });
  control.say(app.id, 'platform', message);
}

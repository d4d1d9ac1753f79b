import type { AppDetail } from '../../shared/contracts/api.ts';
import { PaasError } from '../../shared/errors.ts';
import { appCommand } from '../command/define.ts';

export default appCommand(
  { summary: 'open an app in the browser', args: { app: { summary: 'its name' } } },
  async ({ ui, client, signal, app, env }) => {
    const { urls } = await client.request<AppDetail>({ method: 'GET', path: app.path, signal });
    const [url] = urls;
    if (url === undefined) {
      throw new PaasError('conflict', `${app.name} has no address.`, {
        hint: `Give it one: \`paas routes add HOST${app.flags}\`.`,
      });
    }
    const { openInBrowser } = await import('../platform/spawn.ts');
    await openInBrowser(url, env);
    ui.show({ app: app.name, url }, () => ui.line(`Opened ${url}`));
    return 0;
  },
);

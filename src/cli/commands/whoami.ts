import type { WhoamiResponse } from '../../shared/contracts/api.ts';
import { platformCommand } from '../command/define.ts';

export default platformCommand({ summary: 'show whose key is used' }, async ({ ui, client, signal }) => {
  const who = await client.request<WhoamiResponse>({ method: 'GET', path: '/v1/whoami', signal });
  ui.show(who, () => ui.line(`${who.principal} (${who.role}) on ${client.url}`));
  return 0;
});

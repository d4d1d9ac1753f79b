import { PaasError } from '../../../shared/errors.ts';
import { appCommand } from '../../command/define.ts';

export default appCommand(
  { summary: 'print one value, in clear', args: { key: { summary: 'its name', required: true } } },
  async ({ ui, client, signal, app }, { args }) => {
    const key = args['key']!;
    const { values } = await client.request<{ values: Record<string, string> }>({
      method: 'GET',
      path: `${app.path}/config`,
      signal,
    });
    const value = Object.hasOwn(values, key) ? values[key]! : undefined;
    if (value === undefined)
      throw new PaasError('not_found', `${app.name} has no config ${key}.`, {
        hint: `See \`paas config${app.flags}\`.`,
      });
    ui.show({ [key]: value }, () => ui.line(value));
    return 0;
  },
);

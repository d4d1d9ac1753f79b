import { redactUrl, isSecretName, redacted } from '../../shared/redact.ts';
import { appCommand } from '../command/define.ts';
import { flag } from '../command/flags.ts';

/** A value as it may be shown to whoever looks over a shoulder. */
export function masked(key: string, value: string): string {
  return isSecretName(key) ? '********' : redactUrl(value).replaceAll(redacted, '********');
}

export default appCommand(
  {
    summary: "show an app's environment variables",
    description: 'Values that look secret are masked.',
    flags: { reveal: flag.boolean({ summary: 'show all values' }) },
    examples: [['paas config get DATABASE_URL', 'one value, in clear']],
  },
  async ({ ui, client, signal, app }, { flags }) => {
    const { values } = await client.request<{ values: Record<string, string> }>({
      method: 'GET',
      path: `${app.path}/config`,
      signal,
    });
    const shown = Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, flags.reveal ? value : masked(key, value)]),
    );
    ui.show(shown, () => {
      const keys = Object.keys(shown);
      if (keys.length === 0) ui.line(`${app.name} has no config. \`paas config set K=V\` sets some.`);
      for (const key of keys) ui.line(`${ui.style.bold(key)}=${shown[key] ?? ''}`);
    });
    return 0;
  },
);

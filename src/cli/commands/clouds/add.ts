import { PaasError } from '../../../shared/errors.ts';
import { isSecretName } from '../../../shared/redact.ts';
import { platformCommand } from '../../command/define.ts';
import { flag } from '../../command/flags.ts';
import { readAssignments } from '../../deploy/assignments.ts';

export default platformCommand(
  {
    summary: 'add a cloud account',
    description:
      'Its settings are given as the driver names them. Secrets are read from a file or from standard input.',
    args: { name: { summary: 'how to call it', required: true } },
    flags: {
      driver: flag.text({ value: 'NAME', summary: 'the driver: speedycloud' }),
      set: flag.list({ value: 'K=V', summary: 'a setting (K=@file, K=- for standard input); may be repeated' }),
    },
    examples: [
      [
        'paas clouds add prod --driver speedycloud --set zone=SPC-BJ-6-A --set image=debian12 --set apiKey=@key.txt',
        'an account at SpeedyCloud',
      ],
    ],
  },
  async ({ ui, client }, { args, flags }) => {
    const name = args['name']!;
    const { driver } = flags;
    if (driver === undefined)
      throw new PaasError('usage', '`paas clouds add` needs --driver.', { hint: 'The driver is `speedycloud`.' });
    for (const word of flags.set) {
      const [key = '', value = ''] = word.split('=', 2);
      if (!isSecretName(key) || value === '-' || value.startsWith('@')) continue;
      throw new PaasError('usage', `${key} is a secret and does not belong on a command line.`, {
        hint: `Write --set ${key}=@FILE, or --set ${key}=- and pipe it in.`,
      });
    }
    const texts = await readAssignments(flags.set, '--set', ui.streams.stdin);
    const config = Object.fromEntries(Object.entries(texts).map(([key, value]) => [key, valueOf(value)]));
    await client.request({ method: 'POST', path: '/v1/clouds', body: { name, driver, config } });
    ui.show({ name, driver }, () => ui.line(`Added the cloud ${name}. \`paas clouds test ${name}\` checks it.`));
    return 0;
  },
);

/** Settings have types; `true`, numbers and lists are written as in JSON. */
function valueOf(text: string): unknown {
  if (!/^(?:true|false|\d{1,9}|\[.*\])$/s.test(text)) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

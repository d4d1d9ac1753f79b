import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { WhoamiResponse } from '../../shared/contracts/api.ts';
import { errnoOf, PaasError } from '../../shared/errors.ts';
import { assertUrlAllowed, Client, normalizeUrl, savePlatform } from '../client/index.ts';
import { platformCommand } from '../command/define.ts';
import { flag } from '../command/flags.ts';
import { askSecret, askText } from '../ui/prompt.ts';

export default platformCommand(
  {
    summary: 'use a platform: keep its key on this machine',
    description:
      'The key is asked for, or taken from PAAS_KEY_ID and PAAS_KEY_SECRET. It is kept in PAAS_HOME, for its owner alone.',
    args: { url: { summary: 'where the platform answers', required: true } },
    flags: {
      'key-id': flag.text({ value: 'ID', summary: 'id of the key' }),
      'key-secret-stdin': flag.boolean({ summary: 'read its secret from standard input' }),
      ca: flag.text({ value: 'FILE', summary: "the authority (PEM) of the platform's certificate" }),
      'allow-http': flag.boolean({ summary: 'accept a connection that is not encrypted' }),
    },
    examples: [
      ['pass show paas | paas login https://paas.example.com --key-id key_1 --key-secret-stdin', 'in a script'],
    ],
  },
  async ({ ui, env, home, signal }, { args, flags }) => {
    const url = normalizeUrl(args['url']!);
    const allowHttp = flags['allow-http'];
    assertUrlAllowed(url, allowHttp);
    const ca = flags.ca === undefined ? {} : { ca: readAuthority(flags.ca) };
    const keyId =
      flags['key-id'] ??
      (env['PAAS_KEY_ID'] ||
        (await askText(
          ui,
          'Key id',
          'Give --key-id and --key-secret-stdin, or PAAS_KEY_ID and PAAS_KEY_SECRET.',
          signal,
        )));
    const keySecret = flags['key-secret-stdin']
      ? (await text(ui.streams.stdin)).trim()
      : env['PAAS_KEY_SECRET'] ||
        (await askSecret(ui, 'Secret', 'Give it with --key-secret-stdin, or in PAAS_KEY_SECRET.', signal));
    const client = new Client({ url, keyId, keySecret, ...ca });
    try {
      const who = await client.request<WhoamiResponse>({ method: 'GET', path: '/v1/whoami', signal });
      savePlatform(home, { url, keyId, keySecret, ...ca, ...(allowHttp ? { allowHttp } : {}) });
      ui.show({ url, ...who }, () => ui.line(`Logged in to ${url} as ${who.principal} (${who.role}).`));
      return 0;
    } finally {
      client.close();
    }
  },
);

function readAuthority(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if (errnoOf(cause) === undefined) throw cause;
    throw new PaasError('not_found', `--ca: ${file} cannot be read.`, {
      hint: 'Name a file with a certificate in PEM.',
      cause,
    });
  }
}

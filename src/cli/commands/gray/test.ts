import type { GrayTestAnswer } from '../../../shared/contracts/api.ts';
import { PaasError } from '../../../shared/errors.ts';
import { appCommand } from '../../command/define.ts';
import { flag } from '../../command/flags.ts';

export default appCommand(
  {
    summary: 'tell which release a request would get, and why',
    args: { app: { summary: 'its name' } },
    flags: {
      header: flag.list({ value: 'NAME:VALUE', summary: 'a header of the request; may be repeated' }),
      ip: flag.text({ value: 'ADDRESS', summary: "the client's address (127.0.0.1)" }),
    },
    examples: [["paas gray test shop --header 'Cookie: beta=1' --ip 10.2.3.4", 'a client of the office']],
  },
  async ({ ui, client, signal, app }, { flags }) => {
    const headers = Object.fromEntries(flags.header.map(readHeader));
    const body = { headers, ...(flags.ip === undefined ? {} : { ip: flags.ip }) };
    const answer = await client.request<GrayTestAnswer>({
      method: 'POST',
      path: `${app.path}/gray/test`,
      body,
      signal,
    });
    ui.show(answer, () => ui.line(`${answer.release === null ? 'no release' : `v${answer.release}`}: ${answer.why}`));
    return 0;
  },
);

function readHeader(text: string): [string, string] {
  const colon = text.indexOf(':');
  if (colon > 0) return [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()];
  throw new PaasError('usage', `--header: \`${text}\` is no header.`, { hint: "Write it as in 'X-Team: qa'." });
}

import type { GrayView } from '../../../shared/contracts/api.ts';
import { PaasError } from '../../../shared/errors.ts';
import { parseConditions } from '../../../shared/gray/rules-text.ts';
import { appCommand } from '../../command/define.ts';
import { flag } from '../../command/flags.ts';
import { change } from '../../deploy/done.ts';
import { readRelease, showGray } from '../../deploy/gray.ts';

export default appCommand(
  {
    summary: 'lead some of the requests to a release',
    description:
      'The release runs beside the one in force until no rule leads to it any more; the one in force itself stays beside the\n' +
      'next one. Rules are looked at in their order; the first one that holds decides. Conditions: cookie:NAME=VALUE,\n' +
      'header:NAME=VALUE, device:~EXPRESSION, ip:10.2.0.0/16, region:CN-31, percent:5, joined by ` and `. `~` instead of `=`\n' +
      'searches for a regular expression. `percent:5` is 5 % of those who come to the rule, always the same ones.',
    args: { app: { summary: 'its name' } },
    flags: {
      to: flag.text({ value: 'vN', summary: 'the release' }),
      match: flag.text({ value: 'CONDITIONS', summary: 'which requests' }),
      instances: flag.integer({ char: 'i', max: 1000, summary: 'web instances of that release (1)' }),
    },
    examples: [
      ["paas gray add shop --to v13 --match 'cookie:beta=1'", 'who has the cookie'],
      ["paas gray add shop --to v13 --match 'device:~Mi ?Note and percent:20'", 'a fifth of those with such a device'],
      ["paas gray add shop --to v13 --match 'ip:10.2.0.0/16'", 'an office'],
      ["paas gray add shop --to v12 --match 'cookie:legacy=1'", 'v12 is in force: they keep it when v13 comes'],
      ["paas gray add shop --to v13 --match 'region:CN-31'", 'a region; needs `paas up --regions FILE`'],
    ],
  },
  async (context, { flags }) => {
    const { to, match, instances } = flags;
    if (to === undefined || match === undefined)
      throw new PaasError('usage', '`paas gray add` needs --to and --match.', { hint: 'See `paas gray add --help`.' });
    const release = readRelease(to, '--to');
    parseConditions(match);
    const body = { release, match, ...(instances === undefined ? {} : { instances }) };
    showGray(context, await change<GrayView>(context, 'POST', '/gray', body));
    return 0;
  },
);

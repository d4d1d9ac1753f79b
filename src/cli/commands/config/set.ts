import { appCommand } from '../../command/define.ts';
import { readAssignments } from '../../deploy/assignments.ts';
import { changeConfig, configFlags } from '../../deploy/config-change.ts';

export default appCommand(
  {
    summary: 'set environment variables; makes a release and rolls it out',
    rest: {
      name: 'K=V …',
      summary: 'K=@file reads a file, K=- standard input: so secrets stay out of the command line',
      required: true,
    },
    flags: configFlags,
    examples: [
      ['paas config set LOG_LEVEL=debug', 'one value'],
      ['paas config set TLS_KEY=@key.pem', 'out of a file'],
      ['pass show db | paas config set DB_PASSWORD=-', 'out of a password store'],
    ],
  },
  async (context, { flags, rest }) =>
    changeConfig(context, { set: await readAssignments(rest, 'config set', context.ui.streams.stdin) }, flags),
);

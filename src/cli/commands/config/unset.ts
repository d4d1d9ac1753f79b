import { appCommand } from '../../command/define.ts';
import { changeConfig, configFlags } from '../../deploy/config-change.ts';

export default appCommand(
  {
    summary: 'remove environment variables; makes a release and rolls it out',
    rest: { name: 'K …', summary: 'their names', required: true },
    flags: configFlags,
  },
  async (context, { flags, rest }) => changeConfig(context, { unset: rest }, flags),
);

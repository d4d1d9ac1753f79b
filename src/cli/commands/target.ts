import { PaasError } from '../../shared/errors.ts';
import { dnsLabel } from '../../shared/ids.ts';
import { choosePlatform, currentTarget, readTargets, saveScope } from '../client/index.ts';
import { platformCommand } from '../command/define.ts';
import { scopeFlags } from '../command/flags.ts';

export default platformCommand(
  {
    summary: 'show or choose the platform, project and environment that commands are about',
    args: { url: { summary: 'a platform that was logged in to' } },
    flags: scopeFlags,
    examples: [['paas target -p store -e staging', 'from now on']],
  },
  ({ ui, home, env }, { args, flags }) => {
    const { project, env: environment } = flags;
    for (const name of [project, environment]) {
      if (name !== undefined && !dnsLabel.test(name))
        throw new PaasError('usage', `\`${name}\` is no name: use a-z, 0-9 and -.`, { hint: '' });
    }
    if (args['url'] !== undefined) choosePlatform(home, args['url']);
    if (project !== undefined || environment !== undefined) {
      const scope = {
        ...(project === undefined ? {} : { project }),
        ...(environment === undefined ? {} : { environment }),
      };
      saveScope(home, currentTarget(env).url, scope);
    }
    const target = currentTarget(env);
    const known = readTargets(home).platforms.map(({ url }) => url);
    ui.show(
      { url: target.url, project: target.project, environment: target.environment, from: target.from, known },
      () => {
        ui.pairs([
          ['Platform', `${target.url}${target.from === 'environment' ? ' (PAAS_URL)' : ''}`],
          ['Project', target.project],
          ['Environment', target.environment],
          ['Known', known.length > 1 ? known.join(' ') : null],
        ]);
      },
    );
    return Promise.resolve(0);
  },
);

import { forgetPlatform, readTargets } from '../client/index.ts';
import { platformCommand } from '../command/define.ts';

export default platformCommand(
  {
    summary: 'forget a platform and its key on this machine',
    args: { url: { summary: 'its URL (default: the one in use)' } },
  },
  ({ ui, home }, { args }) => {
    const url = args['url'] ?? readTargets(home).current;
    const known = url !== null && forgetPlatform(home, url);
    ui.show({ url, known }, () =>
      ui.line(known ? `Forgot ${url} and its key.` : 'Nothing to forget: no such platform is known.'),
    );
    return Promise.resolve(0);
  },
);

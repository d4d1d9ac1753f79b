import { switchCommand } from '../deploy/switch.ts';

export default switchCommand('stop', 'stop an app; it keeps its releases, config and formation', {
  done: 'is stopped',
  nothing: 'is stopped already',
});

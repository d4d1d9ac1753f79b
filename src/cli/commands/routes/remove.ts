import { routeCommand } from '../../deploy/route-change.ts';

export default routeCommand('DELETE', 'take a route away from an app', {
  done: 'no longer leads to',
  nothing: 'did not lead to',
});

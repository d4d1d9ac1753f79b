import { routeCommand } from '../../deploy/route-change.ts';

export default routeCommand('POST', 'serve an app at HOST or HOST/PATH', {
  done: 'leads to',
  nothing: 'leads already to',
});

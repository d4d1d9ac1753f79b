import { switchCommand } from '../deploy/switch.ts';

export default switchCommand('start', 'start an app that was stopped', { done: 'runs again', nothing: 'runs already' });

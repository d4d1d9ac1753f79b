import { steeringCommand } from '../../deploy/rollout.ts';

export default steeringCommand('pause', 'stop a rollout where it is', 'Paused.');

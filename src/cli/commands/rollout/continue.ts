import { steeringCommand } from '../../deploy/rollout.ts';

export default steeringCommand('continue', 'let a paused rollout go on', 'It goes on.');

import { steeringCommand } from '../../deploy/rollout.ts';

export default steeringCommand('cancel', 'take what is under way back: the old release stays', 'It is taken back.');

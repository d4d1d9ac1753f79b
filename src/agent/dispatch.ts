/** What each message of the control plane does. */
import type { ControlMessage } from '../shared/contracts/agent.ts';
import type { Assigner } from './assignment.ts';
import type { Reports } from './link-reports.ts';
import { errorFields, type Log } from './log.ts';
import type { LogShipper } from './logs/shipper.ts';
import type { RouterKeeper } from './router.ts';
import type { Sessions } from './session.ts';
import type { StepRunner } from './steps/runner.ts';

export interface DispatchTargets {
  assigner: Pick<Assigner, 'take'>;
  steps: Pick<StepRunner, 'submit' | 'cancel' | 'acknowledge'>;
  shipper: Pick<LogShipper, 'acked'>;
  sessions: Pick<Sessions, 'handle'>;
  reports: Pick<Reports, 'soon'>;
  router(): Pick<RouterKeeper, 'apply'> | undefined;
  log: Log;
}

type Message = Exclude<ControlMessage, { type: 'welcome' }>;

/**
 * Carries out messages. One that fails is logged and passed over: it was well-formed, so what failed is this host, and
 * the next may succeed; the control plane sees from the reports what did not happen.
 */
export function createDispatch(targets: DispatchTargets): (message: Message) => void {
  return (message) => {
    try {
      carryOut(message, targets);
    } catch (error) {
      targets.log.error('cannot carry out a message', { type: message.type, ...errorFields(error) });
    }
  };
}

function carryOut(message: Message, targets: DispatchTargets): void {
  const { steps, sessions, log } = targets;
  switch (message.type) {
    case 'assignment':
      targets.assigner.take(message.assignment);
      targets.reports.soon(false);
      break;
    case 'table': {
      const router = targets.router();
      if (router) router.apply(message.table);
      else log.warn('ignoring a route table: this host has no router');
      break;
    }
    case 'step':
      steps.submit(message.step);
      break;
    case 'stepCancel':
      steps.cancel(message.id);
      break;
    case 'stepAck':
      steps.acknowledge(message.id);
      break;
    case 'logsAck':
      targets.shipper.acked(message.positions);
      break;
    case 'sessionOpen':
    case 'sessionInput':
    case 'sessionSignal':
      sessions.handle(message);
      break;
  }
}

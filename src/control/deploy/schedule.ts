import { Cron } from 'croner';
import { PaasError } from '../../shared/errors.ts';

/**
 * A schedule: five fields, UTC.
 * @throws PaasError manifest_invalid, which names the process
 */
export function parseSchedule(schedule: string, processType: string): Cron {
  try {
    return new Cron(schedule, { timezone: 'UTC', mode: '5-part' });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PaasError('manifest_invalid', `The schedule \`${schedule}\` of ${processType} is none: ${why}`, {
      hint: 'Five fields as cron has them: minute hour day month weekday, in UTC.',
      cause,
    });
  }
}

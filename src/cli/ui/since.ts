import { PaasError } from '../../shared/errors.ts';
import { parseDuration } from '../../shared/units.ts';

/**
 * `10m` (ago) or an ISO 8601 time, as an ISO time.
 * @throws PaasError usage
 */
export function sinceOf(flag: string, text: string | undefined, now = Date.now()): string | undefined {
  if (text === undefined) return undefined;
  if (/^\d{4}-\d{2}/.test(text)) {
    const time = Date.parse(text);
    if (!Number.isNaN(time)) return new Date(time).toISOString();
  } else {
    try {
      return new Date(now - parseDuration(text)).toISOString();
    } catch (error) {
      if (!(error instanceof PaasError) && !(error instanceof RangeError)) throw error;
    }
  }
  throw new PaasError('usage', `${flag}: \`${text}\` is neither a duration nor a time.`, {
    hint: 'Write `10m`, `2h`, or `2026-11-21T10:00:00Z`.',
  });
}

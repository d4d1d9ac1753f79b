import { describe, expect, test } from 'vitest';
import { appSpec } from '../../../../src/shared/contracts/app-spec.ts';
import { load, problems } from './support.ts';

const paas = (text: string): Record<string, string> => ({ 'paas.yml': text });
const analysisOf = async (text: string, environment = 'dev'): Promise<unknown> => {
  const { spec } = await load(paas(text), { environment });
  return appSpec.parse(spec).rollout?.analysis;
};

describe('`rollout.analysis`', () => {
  test('has limits, each with a default of its own, or is off', async () => {
    expect(await analysisOf('rollout: { strategy: canary }')).toBeUndefined();
    expect(await analysisOf('rollout: { analysis: off }')).toBe('off');
    expect(await analysisOf('rollout: { analysis: { enabled: false, max_errors: 2 } }')).toBe('off');
    expect(await analysisOf('rollout: { analysis: { max_errors: 0.5, max_latency: 2, min_requests: 500 } }')).toEqual({
      ...{ maxErrors: 0.5, maxLatency: 2, minRequests: 500 },
    });
  });

  test('of an environment is laid over the rest, and limits switch it on', async () => {
    const text = (rest: string): string =>
      `rollout: { analysis: ${rest} }\nenvironments: { prod: { rollout: { analysis: { max_errors: 2 } } } }\n`;
    expect(await analysisOf(text('{ min_requests: 50 }'), 'prod')).toEqual({ maxErrors: 2, minRequests: 50 });
    expect(await analysisOf(text('off'), 'prod')).toEqual({ maxErrors: 2 });
    expect(await analysisOf(text('off'))).toBe('off');
  });

  test('is refused with what it may be', async () => {
    expect(
      await problems(paas('rollout: { analysis: { max_errors: many, max_latency: 0.5, min_requests: 0 } }')),
    ).toEqual([
      expect.stringContaining('`rollout.analysis.max_errors` must be a number of points from 0 to 100'),
      expect.stringContaining('`rollout.analysis.max_latency` must be a number from 1 to 1000'),
      expect.stringContaining('`rollout.analysis.min_requests` must be a whole number from 1'),
    ]);
    expect(await problems(paas('rollout: { analysis: sometimes }'))).toEqual([
      expect.stringContaining('`rollout.analysis` must be off, or a map'),
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import { rolloutPlan } from '../../../../src/control/deploy/push.ts';

const steps = [10, 50];
const manual = { strategy: 'canary' as const, steps, manual: true };

describe('how a push is rolled out', () => {
  it('is what the manifest says, and rolling where that says nothing', () => {
    expect(rolloutPlan({ spec: {} })).toMatchObject({ strategy: 'rolling', canary: undefined });
    expect(rolloutPlan({ spec: { rollout: manual } })).toMatchObject({
      strategy: 'canary',
      canary: { steps: [10, 50, 100], waitMs: null },
    });
  });

  it('is a canary where a flag is about its steps, whatever the manifest says', () => {
    const spec = { rollout: { strategy: 'recreate' as const } };
    expect(rolloutPlan({ spec, steps })).toMatchObject({ strategy: 'canary', canary: { steps: [10, 50, 100] } });
    expect(rolloutPlan({ spec, stepWaitMs: 5000 })).toMatchObject({ strategy: 'canary', canary: { waitMs: 5000 } });
    expect(rolloutPlan({ spec: {}, manual: true })).toMatchObject({ strategy: 'canary', canary: { waitMs: null } });
    expect(rolloutPlan({ spec: { rollout: manual }, strategy: 'rolling' })).toMatchObject({ strategy: 'rolling' });
  });

  it('goes by the clock where a flag sets it, although the manifest leaves it to a person', () => {
    const plan = rolloutPlan({ spec: { rollout: manual }, stepWaitMs: 120_000 });
    expect(plan.canary).toMatchObject({ steps: [10, 50, 100], waitMs: 120_000 });
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WaitingLine, type Waiter } from '../../../../../src/router/embedded/limits/waiting-line.ts';

describe('WaitingLine', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** Rooms by what they are for; waiters take one of theirs when they find it. */
  function scene() {
    const line = new WaitingLine();
    const rooms: Record<string, number> = {};
    const events: string[] = [];
    const waiter = (name: string, choices = 'all'): Waiter => {
      const own: Waiter = {
        choices,
        attempt() {
          events.push(`${name}?`);
          if (!rooms[choices]) return;
          rooms[choices]--;
          events.push(name);
          line.leave(own);
        },
        expire: () => void events.push(`${name} late`),
      };
      return own;
    };
    return { line, rooms, events, waiter };
  }

  it('serves in the order of arrival, as many as there is room for', () => {
    const { line, rooms, events, waiter } = scene();
    for (const name of ['a', 'b', 'c']) expect(line.enter(waiter(name), 3, 1000)).toBe(true);
    expect(line.enter(waiter('d'), 3, 1000)).toBe(false);
    rooms.all = 2;
    line.serve(1);
    expect(events).toEqual(['a?', 'a']);
    line.serve();
    expect(events.slice(2)).toEqual(['b?', 'b', 'c?']);
    expect(line.length).toBe(1);
  });

  it('lets who may go elsewhere pass who may not, and asks each kind once', () => {
    const { line, rooms, events, waiter } = scene();
    for (const name of ['old1', 'old2', 'new1']) line.enter(waiter(name, name.slice(0, 3)), 9, 1000);
    rooms.new = 1;
    line.serve();
    expect(events).toEqual(['old1?', 'new1?', 'new1']);
  });

  it('keeps the place of one that enters again', () => {
    const { line, rooms, events, waiter } = scene();
    const first = waiter('first');
    line.enter(first, 2, 1000);
    line.enter(waiter('second'), 2, 1000);
    expect(line.enter(first, 2, 1000)).toBe(true);
    rooms.all = 1;
    line.serve(1);
    expect(events).toEqual(['first?', 'first']);
  });

  it('tells each when its own time is over', () => {
    const { line, events, waiter } = scene();
    line.enter(waiter('a'), 9, 100);
    vi.advanceTimersByTime(60);
    line.enter(waiter('b'), 9, 100);
    const gone = waiter('gone');
    line.enter(gone, 9, 100);
    line.leave(gone);
    vi.advanceTimersByTime(50);
    expect(events).toEqual(['a late']);
    vi.advanceTimersByTime(60);
    expect(events).toEqual(['a late', 'b late']);
    expect(line.length).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

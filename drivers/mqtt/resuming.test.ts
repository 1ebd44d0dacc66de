import type { IPublishPacket } from "mqtt";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Resuming } from "./resuming.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const packet = { cmd: "publish", topic: "t", payload: Buffer.alloc(10), qos: 1 } as IPublishPacket;

function rig(endedMs = -Infinity) {
  const state = { isComplete: false, isIdle: false, released: [] as number[], queued: [] as boolean[] };
  const resuming = new Resuming(endedMs, {
    isComplete: () => state.isComplete,
    isIdle: () => state.isIdle,
    release: (early) => {
      state.released.push(early.length);
      state.queued.push(...early.map(({ queued }) => queued));
    },
  });
  return { state, resuming };
}

test("what comes early waits until each filter has a listener, but not for ever", () => {
  const { state, resuming } = rig();
  expect(resuming.takes(packet)).toBe(true);
  resuming.listening();
  vi.advanceTimersByTime(5000);
  expect(state.released).toEqual([]);
  state.isComplete = true;
  resuming.listening();
  vi.advanceTimersByTime(1);
  expect(state.released).toEqual([1]);
  expect(resuming.takes(packet)).toBe(false);
  const other = rig();
  other.resuming.takes(packet);
  vi.advanceTimersByTime(45_000);
  expect(other.state.released).toEqual([1]);
  resuming.stop();
  other.resuming.stop();
});

test("messages are in doubt until none comes and none waits, for two minutes at the most", () => {
  const { state, resuming } = rig();
  state.isComplete = true;
  resuming.listening();
  vi.advanceTimersByTime(10_000);
  expect(resuming.isCatchingUp).toBe(true);
  // The next window of the broker is still on its way.
  state.isIdle = true;
  vi.advanceTimersByTime(1500);
  expect(resuming.isCatchingUp).toBe(true);
  vi.advanceTimersByTime(4100);
  expect(resuming.isCatchingUp).toBe(false);
  const busy = rig();
  busy.state.isComplete = true;
  busy.resuming.listening();
  vi.advanceTimersByTime(123_000);
  expect(busy.resuming.isCatchingUp).toBe(false);
});

test("what was held back for more than a moment is not told as live, though kerb was away for less", () => {
  const { state, resuming } = rig(performance.now());
  expect(resuming.isCatchingUp).toBe(false);
  resuming.takes(packet);
  vi.advanceTimersByTime(6000);
  resuming.takes(packet);
  state.isComplete = true;
  resuming.listening();
  vi.advanceTimersByTime(1);
  expect(state.queued).toEqual([true, false]);
});

import { describe, expect, it } from "vitest";
import { Pause } from "./pause.ts";

/** How long a wait of a minute took that something is to end. */
async function tookMs(pause: Pause, signal: AbortSignal, end: () => void): Promise<number> {
  const startedMs = performance.now();
  const sleeping = pause.sleep(60_000, signal);
  setTimeout(end, 20);
  await sleeping;
  return performance.now() - startedMs;
}

describe("a pause", () => {
  it("ends with its signal, with the one that it waits with now", async () => {
    const pause = new Pause();
    const [first, second] = [new AbortController(), new AbortController()];
    await pause.sleep(1, first.signal);
    expect(await tookMs(pause, second.signal, () => second.abort())).toBeLessThan(5000);
    expect(await tookMs(pause, first.signal, () => first.abort())).toBeLessThan(5000);
  });

  it("ends when it is woken, and is as long as it was asked to be otherwise", async () => {
    const pause = new Pause();
    const { signal } = new AbortController();
    expect(await tookMs(pause, signal, pause.wake)).toBeLessThan(5000);
    const startedMs = performance.now();
    await pause.sleep(50, signal);
    expect(performance.now() - startedMs).toBeGreaterThan(45);
  });

  it("is not ended by a signal of an earlier wait", async () => {
    const pause = new Pause();
    const [first, second] = [new AbortController(), new AbortController()];
    await pause.sleep(1, first.signal);
    const startedMs = performance.now();
    const sleeping = pause.sleep(100, second.signal);
    first.abort();
    await sleeping;
    expect(performance.now() - startedMs).toBeGreaterThan(95);
  });
});

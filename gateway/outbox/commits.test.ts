import { expect, it } from "vitest";
import { Commits } from "./commits.ts";
import { start } from "./testing.ts";

it("estimates what events take in the file within a fifth of what they take", () => {
  const store = start();
  store.register([{ id: "gw", type: "gateway", profile: "", points: [] }]);
  for (const bytes of [60, 300, 900]) {
    const events = Array.from({ length: 2000 }, () => ({
      lane: 1 as const,
      body: Buffer.from([1, 0, 0, 1, ...Buffer.alloc(bytes)]),
    }));
    const before = store.fill() * store.bytesMax;
    const commits = new Commits();
    const startedMs = performance.now();
    for (let i = 0; i < 2000; i += 500) store.commit(events.slice(i, i + 500));
    commits.add(1, events);
    const taken = store.fill() * store.bytesMax - before;
    const seconds = Math.max(1, (performance.now() - startedMs) / 1000);
    const { bytesPerS, eventsPerS } = commits.inflow;
    expect((bytesPerS * seconds) / taken, `${bytes} bytes`).toBeGreaterThan(0.8);
    expect((bytesPerS * seconds) / taken, `${bytes} bytes`).toBeLessThan(1.2);
    expect(eventsPerS * seconds).toBeGreaterThan(1900);
  }
});

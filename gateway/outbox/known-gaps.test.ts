import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { gap } from "../gaps.ts";
import { knownGaps } from "./known-gaps.ts";
import { urgentEvent } from "./own-events.ts";
import { StillQueue } from "./still.ts";
import type { OutboxStore } from "./store.ts";
import { folder, path, start, stop } from "./testing.ts";

const site = { gateway: "gw-1", uplinks: [{ name: "ioc" }] };
const fromMs = Date.parse("2026-03-01T08:00:00Z");

function register(store: OutboxStore): { self: number; meter: number } {
  const [self, meter] = store.register([
    { id: "gw-1", type: "gateway", profile: "", points: [] },
    { id: "meter-01", type: "energy-meter", profile: "", points: [] },
  ]);
  return { self: self?.index ?? 0, meter: meter?.index ?? 0 };
}

function offline(more: Record<string, unknown>): Record<string, unknown> {
  return gap("device_offline", fromMs, fromMs + 60_000, { code: "silent", pollsMissed: 3, ...more });
}

describe("the ledger of gaps", () => {
  it("shows one outage once: open, then closed, then as known to the IOC, also after its row is gone", () => {
    const store = start();
    const { meter } = register(store);
    const told = () => knownGaps(store, site).map(({ state, told: by, lost }) => ({ state, by, lost }));
    store.commit([urgentEvent("gap", meter, offline({ open: true }))]);
    expect(told()).toEqual([{ state: "open", by: "waiting", lost: { polls: 3 } }]);
    store.commit([urgentEvent("gap", meter, offline({ open: false, pollsMissed: 9 }))]);
    expect(told()).toEqual([{ state: "closed", by: "waiting", lost: { polls: 9 } }]);
    // A busy machine seals in steps.
    while (store.release("ioc", store.epoch, 2, ["ioc"]));
    expect(store.count().rows).toBe(0);
    expect(told()).toEqual([{ state: "closed", by: "acknowledged", lost: { polls: 9 } }]);
    expect(knownGaps(store, site)[0]).toMatchObject({ devices: ["meter-01"], code: "silent", fromMs });
    expect(knownGaps(store, site, fromMs + 60_001)).toEqual([]);
  });

  it("takes an outage whose clock was set meanwhile for the same one", () => {
    const store = start();
    const { meter } = register(store);
    store.commit([urgentEvent("gap", meter, offline({ open: true }))]);
    const later = gap("device_offline", fromMs + 7_200_000, fromMs + 7_260_000, {
      open: false,
      replaces: new Date(fromMs).toISOString(),
    });
    store.commit([urgentEvent("gap", meter, later)]);
    expect(knownGaps(store, site)).toMatchObject([{ fromMs: fromMs + 7_200_000, state: "closed" }]);
  });

  it("says of what its run did not see the end of that it is not open any more, and outlives the run", () => {
    const first = start();
    first.commit([urgentEvent("gap", register(first).meter, offline({ open: true }))]);
    stop(first);
    expect(knownGaps(start(), site)).toMatchObject([{ state: "unended", devices: ["meter-01"] }]);
  });

  it("says of a gap whose own event was dropped that the IOC was never told", () => {
    const store = start();
    const rows = store.commit([urgentEvent("gap", register(store).meter, offline({ open: false }))]);
    store.drop(rows, "evicted");
    store.release("ioc", store.epoch, 1, ["ioc"]);
    expect(knownGaps(store, site)).toMatchObject([{ told: "dropped" }]);
  });

  it("keeps counts instead of ranges, stays bounded, and takes garbage for nothing", () => {
    const store = start({ bytesMax: 1024 * 1024 });
    const { self } = register(store);
    const dropped = [{ epoch: 1, from: 1, to: 9, reason: "evicted" }];
    const full = gap("buffer_overflow", fromMs, fromMs + 1, {
      lostCount: 9,
      devices: [{ device: "meter-01", lostCount: 9 }],
      dropped,
    });
    store.commit([urgentEvent("gap", self, full), { lane: 0, body: Buffer.from([1, 6, 0, 0]) }]);
    const [found] = knownGaps(store, site);
    expect(found).toMatchObject({ lost: { events: 9 }, devices: ["meter-01"], details: { dropped: 1 } });
    for (let i = 0; i < 40; i++) store.commit([urgentEvent("gap", self, full)]);
    expect(store.gaps.list()).toHaveLength(16);
  });
});

const hashes = (of: string) =>
  readdirSync(of)
    .toSorted()
    .map((name) => [
      name,
      createHash("sha256")
        .update(readFileSync(join(of, name)))
        .digest("hex"),
    ]);

describe("the queue of a gateway that does not run", () => {
  it("is read with or without its log, as the IOC would have got it, and not a byte of it is changed", () => {
    const store = start();
    const { self, meter } = register(store);
    store.commit([
      urgentEvent("device-status", self, { state: "started" }),
      urgentEvent("gap", meter, offline({ open: true })),
    ]);
    expect(() => new StillQueue(path)).toThrow(/locked/);
    // As a kill leaves it: with a log.
    const killed = join(folder, "killed");
    mkdirSync(killed);
    for (const name of ["outbox.db", "outbox.db-wal"]) copyFileSync(join(folder, name), join(killed, name));
    stop(store);
    rmSync(join(folder, "epoch"));
    for (const of of [killed, folder]) {
      const before = hashes(killed);
      const queue = new StillQueue(join(of, "outbox.db"));
      const events = [...queue.events("gw-1")].flatMap((step) => step.events);
      expect(events).toMatchObject([
        { kind: "device-status", device: "gw-1", seq: 1, data: { state: "started" } },
        { kind: "gap", device: "meter-01", seq: 2, data: { cause: "device_offline" } },
      ]);
      expect(queue.figures()).toMatchObject({ rows: { event: 2, live: 0 } });
      expect(knownGaps(queue, site)).toMatchObject([{ state: "unended" }]);
      queue.close();
      expect(hashes(killed)).toEqual(before);
    }
    expect(existsSync(`${path}-shm`) || existsSync(`${path}-wal`)).toBe(false);
  });
});

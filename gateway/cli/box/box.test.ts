import { describe, expect, it } from "vitest";
import type { KerbEvent } from "../../event.ts";
import { healthyStatus } from "../../health/testing.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { Tails } from "../../control/tails.ts";
import { bufferLines, bufferOf } from "./buffer.ts";
import { wantedOf } from "../read/tail.ts";
import { displayWidth } from "../../text.ts";
import { topLines, topView } from "../top.ts";

const nowMs = Date.now();

/** Two looks a second apart at a box whose second device has got lost. */
function looks(change: (status: GatewayStatus) => void) {
  const status = healthyStatus(nowMs);
  const later = structuredClone(status);
  later.outbox.books.live.accepted += 50;
  later.outbox.books.live.kept += 50;
  const [first, second] = later.devices;
  if (first !== undefined) first.polls += 4;
  if (second !== undefined)
    Object.assign(second, { state: "lost", code: "silent", reason: "no answer", failed: second.failed + 2 });
  const [host] = later.hosts;
  if (host !== undefined) host.cpuMs += 120;
  change(later);
  return topView({ atMs: 0, status }, { atMs: 2000, status: later });
}

describe("kerb top", () => {
  it("shows rates since the look before, and the worst device first", () => {
    const view = looks(() => {});
    expect(view.devices.map(({ id, pollsPerS, errorsPerS }) => [id, pollsPerS, errorsPerS])).toEqual([
      ["meter-02", 0, 1],
      ["meter-01", 2, 0],
    ]);
    expect(view.outbox).toMatchObject({ acceptedPerS: 25, keptPerS: 25 });
    expect(view.hosts).toMatchObject([{ driver: "modbus", cpuPercent: 6 }]);
  });

  it("counts what began anew from zero, never backwards", () => {
    const view = looks((status) => {
      for (const device of status.devices) device.polls = 2;
    });
    expect(view.devices.map(({ pollsPerS }) => pollsPerS)).toEqual([1, 1]);
  });

  it.each([
    [80, 24],
    [50, 12],
    [30, 10],
  ])("fits into %i columns and %i rows, in both languages", (columns, rows) => {
    const view = looks((status) => {
      const [device] = status.devices;
      if (device !== undefined)
        status.devices = Array.from({ length: 60 }, (_, i) => ({ ...device, id: `thiết-bị-rất-dài-${i}` }));
    });
    for (const language of ["en", "vi"] as const) {
      const lines = topLines(view, language, { columns, rows });
      if (columns >= 50) expect(lines.length).toBeLessThanOrEqual(rows);
      for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(columns);
      expect(lines.at(-1)).toMatch(/^… /);
    }
  });
});

describe("kerb tail", () => {
  const event = {
    device: "meter-01",
    kind: "telemetry",
    readings: [{ point: "voltage.L1" }, { point: "voltage.L2" }, { point: "current.L1" }],
  } as unknown as KerbEvent;

  it("keeps the points that are asked for, and leaves out events without one", () => {
    const points = (point: string) => wantedOf(event, { point })?.readings?.map((one) => one.point);
    expect(points("voltage.*")).toEqual(["voltage.L1", "voltage.L2"]);
    expect(points("*.L1")).toEqual(["voltage.L1", "current.L1"]);
    expect(points("voltage.L2")).toEqual(["voltage.L2"]);
    expect(points("voltage")).toBeUndefined();
    expect(points("voltage?L1")).toBeUndefined();
    expect(wantedOf(event, { device: "meter-02" })).toBeUndefined();
    expect(wantedOf(event, { kind: "gap" })).toBeUndefined();
  });

  it("is told how many events it was too slow for", async () => {
    const tails = new Tails(() => {});
    const stop = new AbortController();
    const events = tails.follow(stop.signal);
    const first = events.next();
    tails.take([event]);
    await first;
    tails.take(Array.from({ length: 5003 }, () => event));
    expect((await events.next()).value).toEqual({ missed: 3 });
    expect((await events.next()).value).toBe(event);
    stop.abort();
    await events.return(undefined);
  });
});

describe("kerb buffer", () => {
  it("says how long an outage can still last: until the budget or the disk is used up", () => {
    const status = healthyStatus(nowMs);
    status.outbox.inflow = { eventsPerS: 10, bytesPerS: 1024 };
    const byBudget = bufferOf(status).outageMs ?? 0;
    expect(byBudget / 3_600_000).toBeCloseTo(((0.9 - 0.01) * 256 * 1024) / 3600, 0);
    status.diskFreeBytes = 12 * 1024 ** 2;
    expect(bufferOf(status).outageMs).toBeLessThan(byBudget / 10);
    status.outbox.fill = 0.95;
    expect(bufferLines(bufferOf(status), "en", nowMs).join("\n")).toMatch(
      /it is full: .* dropped, and declared/,
    );
    status.outbox.inflow = { eventsPerS: 0, bytesPerS: 0 };
    expect(bufferOf(status).outageMs).toBeUndefined();
  });
});

import { Durations } from "../durations.ts";
import type { BooksLine } from "../outbox/books.ts";
import type { GatewayStatus } from "../supervisor.ts";

/** For tests: what a healthy gateway with one uplink, one host and two devices says of itself at `nowMs`. */
export function healthyStatus(nowMs: number): GatewayStatus {
  const reads = new Durations();
  for (const ms of [3, 4, 80]) reads.add(ms);
  const device = (id: string): GatewayStatus["devices"][number] => ({
    id,
    name: `Công tơ ${id}`,
    driver: "modbus",
    profile: "eastron/sdm630",
    enabled: true,
    state: "online",
    sinceMs: nowMs - 60_000,
    lastGoodMs: nowMs - 1000,
    answered: 10,
    polls: 4,
    failed: 1,
    missed: 0,
    lastReadMs: 80,
    writable: true,
    reads: reads.counts,
  });
  return {
    gateway: {
      id: "one-box",
      name: "Tủ thử nghiệm",
      city: "test",
      version: "0.1.0",
      pid: 1,
      startedMs: nowMs - 3_600_000,
      clock: "synced",
      rssBytes: 1e8,
      cpuMs: 5000,
    },
    config: "/etc/kerb/gateway.yaml",
    loop: { p50Ms: 0.2, p99Ms: 3, maxMs: 12 },
    outboxSilentMs: 0,
    diskFreeBytes: 10 * 1024 ** 3,
    outbox: {
      epoch: 7,
      lastSeq: 120,
      books: {
        event: { accepted: 20, delivered: 19, dropped: 0, kept: 1 },
        live: { accepted: 100, delivered: 90, dropped: 5, kept: 5 },
      },
      rows: 6,
      bytes: 1_000_000,
      bytesMax: 256 * 1024 ** 2,
      fill: 0.01,
      oldestMs: nowMs - 2000,
      commits: reads.counts,
      inflow: { eventsPerS: 2, bytesPerS: 400 },
      failure: undefined,
      quarantined: undefined,
      deadLetters: { counts: {}, newest: [] },
      uplinks: {
        ioc: {
          connected: true,
          inFlight: 1,
          backlogRows: 0,
          batches: 9,
          events: 110,
          bytes: 900,
          resent: 1,
          refused: 0,
          dead: 0,
        },
      },
    },
    uplinks: [
      {
        id: "ioc",
        url: "mqtts://ioc.example:8883",
        encoding: "columnar",
        custody: "C3",
        state: "connected",
        sinceMs: nowMs - 600_000,
        session: 3,
        receiver: "online",
        lastAcknowledgementMs: nowMs - 30_000,
        bytesWritten: 1000,
        bytesRead: 200,
      },
    ],
    hosts: [
      {
        driver: "modbus",
        pid: 2,
        state: "running",
        restarts: 0,
        strangers: 0,
        rssBytes: 6e7,
        rssBytesMax: 4e8,
        cpuMs: 700,
        dropped: {},
        silentMs: 400,
      },
    ],
    devices: [device("meter-01"), device("meter-02")],
  };
}

function line(device: string, kind: BooksLine["class"], more: Partial<BooksLine>): BooksLine {
  const none = { accepted: 0, delivered: 0, kept: 0, rows: 0, dropped: {} };
  return { device, class: kind, ...none, ...more };
}

/** For tests: the books of that gateway, by device and class; they add up to its totals. */
export function healthyAccounts(): BooksLine[] {
  return [
    line("one-box", "event", { accepted: 12, delivered: 12 }),
    line("meter-01", "event", { accepted: 5, delivered: 4, kept: 1, rows: 1 }),
    line("meter-01", "live", {
      accepted: 60,
      delivered: 50,
      kept: 5,
      rows: 5,
      dropped: { evicted: 4, corrupt: 1 },
    }),
    line("meter-02", "live", { accepted: 25, delivered: 25 }),
    line("", "live", { accepted: 5, delivered: 5 }),
    line("#77", "live", { accepted: 6, delivered: 6 }),
    line("meter-00", "live", { accepted: 4, delivered: 4 }),
    line("meter-00", "event", { accepted: 3, delivered: 3 }),
  ];
}

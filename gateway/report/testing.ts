import { partsOf } from "./signing.ts";
import type { Report, ReportDevice, ReportPoint } from "./report.ts";

/** A report for tests: one device that works, one that does not, one that is not in operation. */

/** What devices say to break out of a page, a table or a terminal. */
export const hostile = `</script><script>alert(1)</script>"'><img src=x onerror=alert(2)>&amp;`;

const both = (text: string) => ({ en: text, vi: text });

export const point = (more: Partial<ReportPoint> = {}): ReportPoint => ({
  name: "voltage.L1",
  label: { en: "Voltage L1-N", vi: "Điện áp pha L1" },
  unit: "V",
  decimals: 1,
  value: 231.4,
  text: null,
  quality: "good",
  code: null,
  reason: null,
  time: "2026-11-22T10:00:00.000Z",
  ageMs: 1000,
  address: "input 0",
  limits: [0, 300],
  outside: false,
  ...more,
});

export const device = (more: Partial<ReportDevice> = {}): ReportDevice => ({
  id: "meter-01",
  name: "Công tơ",
  driver: "modbus",
  address: "tcp 192.168.10.40:502 unit 1",
  verdict: "ok",
  state: "online",
  code: null,
  reason: null,
  identity: { vendor: "Eastron", model: "SDM630", firmware: "1.2", serial: "A1", more: {} },
  profile: {
    id: "eastron/sdm630",
    vendor: "Eastron",
    model: "SDM630",
    status: "official",
    firmware: ">=1.0 <2.0",
    covers: "inside",
    reasons: [],
  },
  writable: false,
  unwritable: null,
  tests: {
    read: { asked: 1, answered: 1, good: 1, latencyMs: 20 },
    readFailure: null,
    identity: "matches",
    polls: { polls: 10, answered: 9, failed: 1, missed: 0, lossPercent: 10, meanMs: 21 },
    write: {
      id: "01J9",
      at: "2026-11-22T09:00:00.000Z",
      state: "done",
      args: { "lamp.group1": false },
      readBack: { "lamp.group1": false },
      by: "ky-thuat-1@local",
    },
  },
  events: { accepted: 10, delivered: 9, kept: 1, dropped: 0 },
  points: [point()],
  ...more,
});

export function reportOf(devices: ReportDevice[] = [device()], more: Partial<Report> = {}): Report {
  const report: Omit<Report, "parts"> = {
    kind: "kerb-commissioning-report",
    version: 1,
    made: {
      at: "2026-11-22T10:00:01.000Z",
      local: "2026-11-22T17:00:01+07:00",
      timeZone: "Asia/Ho_Chi_Minh",
    },
    about: { contract: "12/2026", contractor: "Công ty A", acceptedBy: "Trung tâm B", note: null },
    site: { gateway: "q1-01", name: "Ngã tư Bảy Hiền", city: "hcm" },
    box: {
      kerb: "0.1.0",
      via: "gateway",
      startedAt: "2026-11-22T09:00:00.000Z",
      clock: "synced",
      diskFreeBytes: 1e9,
      outbox: {
        accepted: 10,
        delivered: 9,
        kept: 1,
        dropped: 0,
        closes: true,
        bytes: 1000,
        bytesMax: 1e9,
      },
      uplinks: [
        {
          id: "ioc",
          url: "mqtts://ioc:8883",
          encoding: "columnar",
          custody: "C3",
          state: "connected",
          since: "2026-11-22T09:00:00.000Z",
          reason: null,
          receiver: "online",
          lastAcknowledgement: "2026-11-22T09:59:00.000Z",
        },
      ],
      audit: "whole",
    },
    summary: { devices: 1, ok: 1, failing: 0, notCommissioned: 0, blocking: 0, warnings: 1 },
    problems: [
      {
        severity: "warning",
        code: "KERB-CLOCK-UNPROVED",
        about: "device",
        object: devices[0]?.id ?? null,
        title: both("title"),
        seen: both("seen"),
        likely: both("likely"),
        do: both("do"),
      },
    ],
    devices,
    missing: ["audit"],
    ...more,
  };
  return { ...report, parts: partsOf(report) };
}

/** The rows of a text as RFC 4180 has them. */
export function rowsOf(csv: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, bare, end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    row.push(quoted?.replaceAll('""', '"') ?? bare ?? "");
    if (end === ",") continue;
    rows.push(row);
    row = [];
  }
  return rows;
}

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { loadSite } from "../config/config.ts";
import type { LatestReading } from "../host/messages.ts";
import type { ErrorCode } from "../errors.ts";
import { buildReport } from "./build.ts";
import type { Asked, Gathered } from "./gathered.ts";
import { pageOf } from "./page.ts";
import { verifyReport } from "./verify.ts";
import { signReport } from "./signing.ts";
import { signAsBox } from "../box-key.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-build-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const transport = { type: "tcp", host: "10.0.0.1", port: 502 };
const one = (id: string, profile: string) => ({ id, driver: "modbus", profile, transport, unit: 1 });
const devices = [one("meter-01", "eastron/sdm630"), one("router-01", "teltonika/rut")];
devices[1] = {
  ...devices[1],
  driver: "snmp",
  host: "10.0.0.2",
  transport: undefined,
  unit: undefined,
} as never;
const file = join(folder, "gateway.yaml");
const gateway = { id: "build", name: "Build", city: "test", state: "./state" };
writeFileSync(file, JSON.stringify({ version: 1, gateway, devices }));
const site = await loadSite(file);

const reading = (more: Partial<LatestReading> = {}): LatestReading => ({
  point: "voltage.L1",
  value: 230,
  unit: "V",
  decimals: 1,
  status: "good",
  timeMs: 1_795_000_000_000,
  address: "input 0",
  ...more,
});

function report(meter: Asked, router: Asked, more: Partial<Gathered> = {}) {
  const asked = new Map([
    ["meter-01", meter],
    ["router-01", router],
  ]);
  const none = {
    status: undefined,
    books: undefined,
    clock: "synced" as const,
    writes: new Map(),
    problems: [],
    audit: "none" as const,
  };
  const gathered: Gathered = { ...none, devices: asked, missing: [], ...more };
  const about = { contract: null, contractor: null, acceptedBy: null, note: null };
  return buildReport(site, gathered, { about, version: "0.1.0", nowMs: 1_795_000_001_000 });
}

const codesOf = ({ problems }: ReturnType<typeof report>) => problems.map(({ code }) => code);
const rut = { vendor: "Teltonika", model: "RUT241", firmware: "7.0", serial: "1" };

it("takes a device of which nothing was heard for none that works", () => {
  const made = report(
    { readings: [reading({ unheard: true, value: null })] },
    { readings: [], identity: rut },
  );
  expect(made.devices[0]).toMatchObject({ state: "listening", verdict: "not-commissioned" });
  expect(made.devices[0]?.points[0]).toMatchObject({
    quality: "unheard",
    value: null,
    time: null,
    ageMs: null,
  });
  expect(made.devices[1]).toMatchObject({ state: "online", verdict: "ok", tests: { identity: "matches" } });
  expect(made.summary).toMatchObject({ ok: 1, notCommissioned: 1, failing: 0 });
  expect(codesOf(made)).toEqual(["KERB-REP-NO-GATEWAY", "KERB-REP-UNHEARD"]);
});

it("finds another model, another unit, bad values, books and journals that are not right", () => {
  const code = "other-unit" as const;
  const line = {
    device: "meter-01",
    class: "live" as const,
    accepted: 3,
    delivered: 3,
    kept: 0,
    rows: 1,
    dropped: {},
  };
  const books = {
    gateway: "build",
    lost: {},
    lines: [line],
    closes: false,
    tombstones: [],
    tombstonesLeftOut: 0,
  };
  const made = report(
    {
      readings: [reading(), reading({ point: "x", status: "bad", value: null, code: "sensor" })],
      unwritable: { code, reason: "" },
      identity: { serial: "2" },
    },
    { readings: [], identity: { ...rut, model: "Other" } },
    { books, audit: "broken" },
  );
  expect(codesOf(made)).toEqual([
    "KERB-REP-NO-GATEWAY",
    "KERB-REP-BOOKS",
    "KERB-REP-AUDIT",
    "KERB-REP-VALUES",
    "KERB-REP-IDENTITY",
    "KERB-REP-UNDELIVERED",
  ]);
  expect(made.problems.find((problem) => problem.code === "KERB-REP-VALUES")?.seen).toEqual({
    en: "1 of 2 points: x bad (sensor)",
    vi: "1 trên 2 điểm: x xấu (sensor)",
  });
});

it("says once what several devices were lost with, and names them", () => {
  const seen = { en: "2 devices lost together", vi: "2 thiết bị cùng mất liên lạc" };
  const found = (severity: "bad" | "warn", object: string, code: ErrorCode, behind: string[] = []) => ({
    severity,
    check: "device" as const,
    object,
    code,
    seen,
    behind,
  });
  const made = report(
    { readings: [] },
    { readings: [] },
    {
      problems: [
        found("warn", "meter-01", "KERB-DEV-SLOW"),
        found("bad", "10.0.0.0/24", "KERB-NET-SWITCH", ["meter-01", "router-01"]),
        found("warn", "meter-01", "KERB-DEV-SOME-BAD"),
      ],
    },
  );
  expect(made.problems.filter((problem) => problem.seen.en === seen.en)).toMatchObject([
    { severity: "blocking", object: "10.0.0.0/24", behind: ["meter-01", "router-01"] },
    { severity: "warning", object: "meter-01", code: "KERB-DEV-SLOW" },
  ]);
  expect(made.summary.blocking).toBe(2);
  const page = pageOf({ report: made, sha256: "0".repeat(64), publicKey: null, signature: null }, "en");
  expect(page).toContain("with it: meter-01, router-01");
});

it("says of a device that no gateway runs what its ladder has found", () => {
  const seen = { en: "serial number 1 was here first", vi: "số sê-ri 1" };
  const causes = [
    { code: "KERB-DEV-UNIT" as const, severity: "warn" as const, step: "identity" as const, seen },
  ];
  const made = report(
    { readings: [reading()], identity: { serial: "2" }, causes },
    { readings: [], identity: rut },
  );
  expect(made.problems.find(({ code }) => code === "KERB-DEV-UNIT")).toMatchObject({
    severity: "warning",
    object: "meter-01",
    seen,
  });
});

it("can be signed whatever a device says", async () => {
  const identity = { vendor: "\ud800", model: "m", more: { ["__proto__"]: "x", "\udfff": "y" } };
  const made = report(
    { readings: [reading({ value: Number.NaN, reason: "a\ud800" })], identity },
    { readings: [] },
  );
  expect(made.devices[0]?.points[0]?.value).toBeNull();
  const signed = await signReport(made, (what) => signAsBox(folder, what));
  expect(verifyReport(JSON.stringify(signed))?.verdict).toBe("valid");
});

import { describe, expect, it } from "vitest";
import { healthLines } from "../cli/health.ts";
import { type HealthCheck, healthChecks, reasonsNot, worstState } from "./health.ts";
import { healthyStatus } from "./testing.ts";
import type { GatewayStatus } from "../supervisor.ts";

const nowMs = Date.UTC(2026, 5, 1);

type Change = (status: GatewayStatus) => void;

function checksWith(change: Change): HealthCheck[] {
  const status = healthyStatus(nowMs);
  change(status);
  return healthChecks(status, nowMs);
}

function first<Item>(list: Item[]): Item {
  const [item] = list;
  if (item === undefined) throw new Error("the list is empty");
  return item;
}

const link = (status: GatewayStatus) => first(status.uplinks);
const host = (status: GatewayStatus) => first(status.hosts);
const device = (status: GatewayStatus) => first(status.devices);

function down(reason: string): Change {
  return (status) => Object.assign(link(status), { state: "waiting", sinceMs: nowMs - 180_000, reason });
}

describe("the health of a gateway", () => {
  it("names the last of the callers that no device may be, and is well all the same", () => {
    const checks = checksWith((status) =>
      Object.assign(host(status), { strangers: 1234, lastStranger: "RN+SI0009" }),
    );
    const found = checks.find(({ check }) => check === "host");
    expect(found?.seen.en).toMatch(/refused 1.234 calls of unknown devices, the last "RN\+SI0009"$/);
    expect(found?.seen.vi).toMatch(/1.234 .* "RN\+SI0009"$/);
    expect(worstState(checks)).toBe("ok");
  });

  it("is ok, line by line", () => {
    const checks = checksWith(() => {});
    expect(worstState(checks)).toBe("ok");
    expect(checks.map(({ check, object = "" }) => `${check} ${object}`.trim())).toEqual([
      "loop",
      "outbox",
      "disk",
      "clock",
      "uplink ioc",
      "host modbus",
      "devices",
    ]);
    expect(reasonsNot("ready", checks)).toEqual([]);
  });

  it.each<[string, string, Change]>([
    ["loop", "warn KERB-GW-LOOP", (status) => (status.loop.maxMs = 1500)],
    ["loop", "bad KERB-GW-LOOP alive", (status) => (status.loop.maxMs = 6000)],
    ["outbox", "warn KERB-OUT-STUCK ready", (status) => (status.outboxSilentMs = 1500)],
    ["outbox", "bad KERB-OUT-STUCK alive", (status) => (status.outboxSilentMs = 11_000)],
    ["outbox", "bad KERB-OUT-DISK-FULL ready", (status) => (status.outbox.failure = "SQLITE_FULL: full")],
    ["outbox", "bad KERB-OUT-READ-ONLY ready", (status) => (status.outbox.failure = "SQLITE_READONLY: x")],
    ["outbox", "bad KERB-OUT-FAILED ready", (status) => (status.outbox.failure = "SQLITE_IOERR_FSYNC: x")],
    ["outbox", "warn KERB-OUT-DAMAGED", (status) => (status.outbox.quarantined = "/var/lib/kerb/o.damaged")],
    ["disk", "warn KERB-OUT-BUDGET", (status) => (status.outbox.fill = 0.75)],
    ["disk", "bad KERB-OUT-EVICTED", (status) => (status.outbox.fill = 0.9)],
    ["disk", "warn KERB-OUT-SPACE", (status) => (status.diskFreeBytes = 100 * 1024 ** 2)],
    ["disk", "bad KERB-OUT-DISK-FULL", (status) => (status.diskFreeBytes = 4096)],
    ["clock", "warn KERB-CLOCK-UNPROVED", (status) => (status.gateway.clock = "holdover")],
    ["clock", "bad KERB-CLOCK-UNSYNCED", (status) => (status.gateway.clock = "unsynced")],
    ["uplink", "bad KERB-UP-REFUSED", down("connect ECONNREFUSED 10.0.0.1:8883")],
    ["uplink", "bad KERB-UP-UNREACHABLE", down("getaddrinfo EAI_AGAIN ioc.example")],
    ["uplink", "bad KERB-UP-TLS-UNTRUSTED", down("unable to verify the first certificate")],
    ["uplink", "bad KERB-UP-TLS-REJECTED", down("the broker ended the TLS handshake: unknown ca")],
    ["uplink", "bad KERB-UP-CREDENTIALS", down("Connection refused: Bad User Name or Password")],
    ["uplink", "bad KERB-UP-NOT-AUTHORISED", down("Connection refused: Not authorized")],
    ["uplink", "bad KERB-UP-SILENT", down("connack timeout")],
    ["uplink", "bad KERB-OUT-DISK-FULL", down("database or disk is full")],
    ["uplink", "bad KERB-UP-CLOSED", down("the connection was closed")],
    ["uplink", "bad KERB-CFG-FILE", down("ENOENT: no such file or directory, open 'ca.pem'")],
    ["uplink", "warn KERB-UP-NO-CUSTODY", (status) => (link(status).receiver = "offline")],
    ["uplink", "warn KERB-UP-NO-CUSTODY", (status) => (link(status).lastAcknowledgementMs = nowMs - 400_000)],
    ["uplink", "warn KERB-UP-QUOTA", (status) => (link(status).reason = "message refused: 0x97 quota")],
    ["uplink", "warn KERB-UP-NONE", (status) => (status.uplinks = [])],
    ["host", "bad KERB-HOST-ENDED ready", (status) => (host(status).state = "waiting")],
    ["host", "warn KERB-HOST-ENDED ready", (status) => (host(status).state = "starting")],
    ["host", "bad KERB-HOST-SILENT ready", (status) => (host(status).silentMs = 5000)],
    ["host", "warn KERB-HOST-MEMORY", (status) => (host(status).rssBytes = 3.9e8)],
    [
      "device",
      "bad KERB-DEV-SILENT",
      (status) => Object.assign(device(status), { state: "lost", code: "silent" }),
    ],
    [
      "device",
      "bad KERB-DEV-WRONG-DEVICE",
      (status) => Object.assign(device(status), { state: "wrong-device", code: "wrong-device" }),
    ],
    [
      "device",
      "bad KERB-DEV-INTERNAL",
      (status) => Object.assign(device(status), { state: "lost", code: "internal" }),
    ],
  ])("%s: %s", (name, verdict, change) => {
    const [found, ...others] = checksWith(change).filter(({ code }) => code !== undefined);
    expect(others).toEqual([]);
    expect(found?.check).toBe(name);
    expect([found?.state, found?.code, found?.stops].filter((word) => word !== undefined).join(" ")).toBe(
      verdict,
    );
    expect(found?.seen.vi).not.toBe("");
  });

  it("does not count a start as a fault", () => {
    const checks = checksWith((status) => {
      status.gateway.startedMs = nowMs - 2000;
      const { reason: _, ...uplink } = link(status);
      status.uplinks = [{ ...uplink, state: "connecting", sinceMs: nowMs - 2000 }];
      host(status).state = "starting";
      for (const one of status.devices) Object.assign(one, { state: "starting", sinceMs: nowMs - 2000 });
    });
    expect(worstState(checks)).toBe("ok");
    expect(reasonsNot("alive", checks)).toEqual([]);
    expect(reasonsNot("ready", checks)).toEqual(["host modbus: starting"]);
  });

  it("takes a device that has not spoken yet for well", () => {
    const checks = checksWith((status) => {
      Object.assign(device(status), { state: "listening", sinceMs: nowMs - 86_400_000 });
    });
    expect(worstState(checks)).toBe("ok");
    expect(checks.find(({ check }) => check === "devices")?.seen.en).toBe("1 of 2 online, 1 listening");
  });

  it("is ready without the IOC and without its devices", () => {
    const checks = checksWith((status) => {
      down("connect ECONNREFUSED")(status);
      for (const one of status.devices) one.state = "lost";
    });
    expect(worstState(checks)).toBe("bad");
    expect(reasonsNot("ready", checks)).toEqual([]);
  });

  it("is not ready while it hangs", () => {
    const checks = checksWith((status) => (status.outboxSilentMs = 20_000));
    expect(reasonsNot("alive", checks)).toEqual(["outbox: no answer for 20 s"]);
    expect(reasonsNot("ready", checks)).toEqual(["outbox: no answer for 20 s"]);
  });

  it("names a dead host once, not each of its devices", () => {
    const checks = checksWith((status) => {
      Object.assign(host(status), { state: "waiting", reason: "signal SIGSEGV" });
      for (const one of status.devices) one.state = "lost";
    });
    expect(checks.filter(({ check }) => check === "device")).toEqual([]);
    expect(checks.find(({ check }) => check === "host")?.seen.en).toContain("SIGSEGV");
  });

  it("lists 20 dead devices at most, and counts disabled ones nowhere", () => {
    const checks = checksWith((status) => {
      const lost = { ...device(status), state: "lost" as const };
      status.devices = Array.from({ length: 100 }, (_, i) => ({ ...lost, id: `m-${i}`, enabled: i < 50 }));
    });
    expect(checks.filter(({ check }) => check === "device")).toHaveLength(20);
    expect(checks.find(({ check }) => check === "devices")?.seen.en).toBe("0 of 50 online");
  });

  it("speaks to a technician in both languages, and hides control characters", () => {
    const checks = checksWith((status) => {
      Object.assign(device(status), { state: "lost", code: "silent", reason: "no \u001b[2J answer" });
    });
    const english = healthLines(checks, "en").join("\n");
    expect(english).toMatch(/✗ device meter-01 +The device does not answer +\(KERB-DEV-SILENT\)\n/);
    expect(english).toMatch(/ {4}seen +Công tơ meter-01, last read 1 s ago: no .+answer\n/);
    expect(english).toMatch(/ {4}likely +no power/);
    expect(english).toMatch(/ {4}do +check power/);
    expect(english).not.toContain("\u001b[2J");
    const vietnamese = healthLines(checks, "vi").join("\n");
    expect(vietnamese).toMatch(/✗ thiết bị meter-01 +Thiết bị không trả lời/);
    expect(vietnamese).toMatch(/ghi nhận +Công tơ meter-01, đọc được cách đây 1 s/);
  });
});

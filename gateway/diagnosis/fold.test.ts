import { describe, expect, it } from "vitest";
import { errorTable } from "../errors.ts";
import { healthChecks } from "../health/health.ts";
import { healthyStatus } from "../health/testing.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { rulesOf } from "./causes.ts";
import { diagnosisErrors } from "./error-texts.ts";
import { foldDevices } from "./fold.ts";
import { knownFacts } from "./history.ts";
import { diagnosisOf } from "./knowledge.ts";
import { problemsOf } from "./problems.ts";
import { causeOf, doubtsOf } from "./rules.ts";
import { rungOf } from "./rungs.ts";

const nowMs = 1_800_000_000_000;

type Device = GatewayStatus["devices"][number];

function devices(
  ...given: (Partial<Device> & { host?: string; port?: number; path?: string })[]
): GatewayStatus {
  const status = healthyStatus(nowMs);
  const [pattern] = status.devices;
  status.devices = given.map(({ host, port = 502, path, ...more }, index) => ({
    ...pattern!,
    id: `d-${index + 1}`,
    state: "lost" as const,
    code: "silent",
    reason: "no answer",
    sinceMs: nowMs - 60_000 + index * 1000,
    place:
      path === undefined
        ? { over: "tcp", host: host ?? "", port }
        : { over: "serial", path, line: "9600-8N1" },
    ...more,
  }));
  return status;
}

const kinds = (status: GatewayStatus) => foldDevices(status.devices).map(({ kind, at }) => `${kind} ${at}`);
const why = (status: GatewayStatus, more: Record<string, string | number | boolean> = {}) =>
  causeOf(rulesOf(status.devices[0]!.driver), "protocol", {
    ...knownFacts("d-1", { status, readings: [], nowMs }),
    ...more,
  })?.code;

describe("devices that are lost together", () => {
  const hosts = [{ host: "10.0.0.1" }, { host: "10.0.0.2" }, { host: "10.0.0.3" }];

  it("are folded under their switch, their machine, their line, their broker", () => {
    expect(kinds(devices(...hosts))).toEqual(["net 10.0.0.0/24"]);
    const machine = devices({ host: "10.0.0.1" }, { host: "10.0.0.1", port: 503 });
    expect(kinds(machine)).toEqual(["host 10.0.0.1"]);
    expect(why(machine)).toBe("KERB-NET-HOST");
    const line = devices({ path: "/dev/ttyS1" }, { path: "/dev/ttyS1" });
    expect(kinds(line)).toEqual(["line /dev/ttyS1"]);
    expect(why(line)).toBe("KERB-LINE-DEAD");
    const place = { over: "tcp" as const, host: "10.0.0.9", port: 1883, shared: "broker" as const };
    const broker = devices({ place, driver: "mqtt" }, { place, driver: "mqtt" });
    expect(kinds(broker)).toEqual(["broker 10.0.0.9:1883"]);
    expect(why(broker)).toBe("KERB-MQTT-BROKER");
  });

  it("are not when one answers, when one went long before, when there is one only, when a machine refuses", () => {
    expect(kinds(devices(...hosts, { host: "10.0.0.4", state: "online" }))).toEqual([]);
    expect(kinds(devices(...hosts.slice(1), { host: "10.0.0.1", sinceMs: nowMs - 3_600_000 }))).toEqual([]);
    expect(kinds(devices({ host: "10.0.0.1" }))).toEqual([]);
    expect(kinds(devices(...hosts.slice(1), { host: "10.0.0.1", code: "refused" }))).toEqual([]);
    expect(
      kinds(devices(...hosts.slice(1), { host: "10.0.0.1", enabled: false, state: "starting" })),
    ).toEqual(["net 10.0.0.0/24"]);
  });

  it("are one finding of health and one problem, with the devices behind it", async () => {
    const status = devices(...hosts, { host: "10.9.9.9", code: "refused" });
    const found = healthChecks(status, nowMs).filter(({ check }) => check === "device");
    expect(found.map(({ object, behind }) => [object, behind])).toEqual([
      ["10.0.0.0/24", ["d-1", "d-2", "d-3"]],
      ["d-4", undefined],
    ]);
    const problems = await problemsOf({ status, readings: {}, nowMs, configured: [] });
    expect(problems.map(({ code, behind }) => [code, behind.length])).toEqual([
      ["KERB-NET-SWITCH", 3],
      ["KERB-DEV-REFUSED", 0],
    ]);
  });

  it("are no reason to blame the switch when the machine itself takes connections", () => {
    expect(why(devices(...hosts))).toBe("KERB-NET-SWITCH");
    expect(why(devices(...hosts), { error: "silent", "net.tcp": "open" })).toBe("KERB-MB-SILENT");
  });
});

const working = (more: Partial<Device>) => {
  const { code: _code, reason: _reason, ...lost } = devices({ host: "10.0.0.1" }).devices[0]!;
  const status = healthyStatus(nowMs);
  status.devices = [{ ...lost, state: "online", ...more }];
  return doubtsOf(rulesOf("modbus"), knownFacts("d-1", { status, readings: [], nowMs }, 100)).map(
    ({ code }) => code,
  );
};

describe("what the running gateway alone can know", () => {
  it("names a device that is too slow, and one that fails now and then", () => {
    expect(working({ polls: 100, answered: 60, failed: 0, missed: 40, lastReadMs: 120 })).toEqual([
      "KERB-DEV-SLOW",
    ]);
    expect(working({ polls: 100, answered: 80, failed: 20, missed: 0, sinceMs: nowMs - 600_000 })).toEqual([
      "KERB-DEV-LOSSY",
    ]);
    expect(working({ polls: 100, answered: 99, failed: 1, missed: 0 })).toEqual([]);
  });

  it("names a driver that is down, a unit beside which another one is read, a port that went away", () => {
    const status = devices({ host: "10.0.0.1" }, { host: "10.0.0.1", state: "online" });
    expect(why(status)).toBe("KERB-MB-UNIT");
    status.hosts[0]!.state = "waiting";
    expect(why({ ...status, devices: status.devices.slice(0, 1) })).toBe("KERB-DEV-DRIVER-DOWN");
    expect(why(devices({ path: "/dev/ttyS1" }), { "serial.port": "gone" })).toBe("KERB-LINE-GONE");
  });

  it("names another unit than the first, a device without one good value, a port that may not be opened", () => {
    const unwritable = { code: "other-unit" as const, reason: "serial number B, not A" };
    const status = devices({ host: "10.0.0.1", state: "online", unwritable });
    const facts = knownFacts("d-1", { status, readings: [], nowMs });
    expect(causeOf(rulesOf("modbus"), "identity", facts)?.code).toBe("KERB-DEV-UNIT");
    const none = { "values.none": true, "values.bad": 8, "values.total": 8, "values.code": "noSuchObject" };
    expect(causeOf(rulesOf("snmp"), "values", none)?.code).toBe("KERB-DEV-BAD-VALUES");
    expect(causeOf(rulesOf("modbus"), "port", { "serial.port": "denied" })?.code).toBe(
      "KERB-LINE-PERMISSION",
    );
  });

  it("says nothing where no rule fits", () => {
    expect(causeOf(rulesOf("modbus"), "protocol", { error: "rejected" })).toBeUndefined();
  });
});

describe("what no pretend device does is known by the driver's own words", () => {
  const at = "10.0.0.1:1";
  it.each([
    ["KERB-LINE-BABBLE", "serial", "garbage", "/dev/ttyS1: the line is never silent"],
    ["KERB-MQTT-OFFLINE", "mqtt", "hung-up", "plug-1/availability says that it is offline"],
    ["KERB-SNMP-CLOCK", "snmp", "denied", `${at}: the device's SNMPv3 clock has jumped`],
    ["KERB-UA-CLOCK", "opcua", "denied", `${at}: a channel: BadCertificateTimeInvalid`],
    ["KERB-UA-CLEAR-PASSWORD", "opcua", "denied", `${at}: the server wants the password in clear; use …`],
    ["KERB-UA-NOT-TRUSTED", "opcua", "denied", `${at}: a channel: BadSecurityChecksFailed`],
    ["KERB-UA-RIGHTS", "opcua", "denied", `${at}: a session: BadUserAccessDenied`],
  ])("%s", async (cause, driver, code, message) => {
    const told = (await diagnosisOf(driver))?.facts({ code, message }, {});
    const facts = { error: code, message, ...told };
    expect(causeOf(rulesOf(driver), rungOf(facts, code), facts)?.code).toBe(cause);
  });
});

const names = (text: string) => [...text.matchAll(/\{[\w.]+\}/g)].map(String).toSorted();

describe("the table of causes", () => {
  const drivers = ["modbus", "serial", "http", "onvif", "snmp", "opcua", "mqtt", "rsmp"];
  const rules = drivers.flatMap((driver) => rulesOf(driver));

  it("has a rule for each cause, and texts in both languages", () => {
    const codes = [...new Set(rules.map(({ cause }) => cause))];
    expect(codes.toSorted()).toEqual(Object.keys(diagnosisErrors).toSorted());
    for (const code of codes) {
      const { title, likely, do: remedy } = errorTable[code];
      for (const text of [title, likely, remedy]) {
        expect(text.en, code).not.toBe("");
        expect(text.vi, code).not.toBe(text.en);
      }
    }
  });

  it("fills the facts that a text names in both languages alike", () => {
    for (const { seen, cause } of rules) {
      expect(names(seen.vi), cause).toEqual(names(seen.en));
    }
  });
});

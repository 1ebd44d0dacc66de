import { describe, expect, it } from "vitest";
import type { Site } from "../config/config.ts";
import { factsOf } from "./facts.ts";
import { type DeviceAction, isEmpty, planOf, summaryOf } from "./plan.ts";

type Device = Site["devices"][number];

function device(id: string, more: Partial<Device> = {}): Device {
  return {
    id,
    name: id,
    driver: "modbus",
    enabled: true,
    profile: "acme/meter",
    class: "energy-meter",
    firmwareRange: "*",
    settings: { transport: { type: "tcp", host: "10.0.0.5", port: 502 }, unit: 1, password: "Hunter-22" },
    identify: undefined,
    identity: undefined,
    pollMs: { fast: 1000, normal: 10_000, slow: 60_000 },
    points: [],
    records: [],
    alarms: [],
    silenceMs: 0,
    place: { file: "/etc/kerb/gateway.yaml", line: 9 },
    ...more,
  };
}

function site(devices: Device[], more: Partial<Site> = {}): Site {
  return {
    file: "/etc/kerb/gateway.yaml",
    files: ["/etc/kerb/gateway.yaml"],
    gateway: {
      id: "box-01",
      name: "Tủ",
      city: "hcm",
      stateFolder: "/var/lib/kerb",
      timeZone: "Asia/Ho_Chi_Minh",
      location: undefined,
    },
    outbox: { bytesMax: 1e6, commitAfterMs: 1000, commitEventsMax: 200, sealEveryMs: 3_600_000 },
    uplinks: [],
    privacy: { personalData: "drop" },
    commands: { issuers: [], roles: {}, ratePerMinute: 60, clock: "synced" },
    log: { level: "info" },
    health: undefined,
    devices,
    warnings: [],
    ...more,
  };
}

const settings = (change: Record<string, unknown>) => ({ settings: { ...device("x").settings, ...change } });
const plan = (before: Site, after: Site) => planOf(factsOf(before), factsOf(after));

describe("a plan", () => {
  it("is empty for the same site, wherever its devices stand in the files", () => {
    const moved = device("a", { place: { file: "/etc/kerb/devices.d/a.yaml", line: 2 } });
    const found = plan(site([device("a"), device("b")]), site([device("b"), moved]));
    expect(isEmpty(found)).toBe(true);
    expect(found.untouched).toBe(2);
  });

  it.each<[string, Partial<Device>, DeviceAction, string[]]>([
    ["a name", { name: "Công tơ" }, "hot", ["name a -> Công tơ"]],
    ["a pace", { pollMs: { fast: 1000, normal: 5000, slow: 60_000 } }, "hot", ["poll 10 s -> 5 s"]],
    ["every pace", { pollMs: { fast: 500, normal: 500, slow: 500 } }, "hot", ["poll.fast 1 s -> 500 ms"]],
    [
      "a schedule",
      { schedules: { dim: [{ at: "17:45", value: 50, days: ["sat", "sun"] }] } },
      "hot",
      ["schedules.dim - -> 17:45 50 sat sun"],
    ],
    ["what may be written", { write: { allow: ["dim"] } }, "hot", ["write.allow - -> dim"]],
    ["an address", settings({ unit: 2 }), "restart", ["unit 1 -> 2"]],
    [
      "a host",
      settings({ transport: { type: "tcp", host: "10.0.0.6", port: 502 } }),
      "restart",
      ["transport.host 10.0.0.5 -> 10.0.0.6"],
    ],
    ["another driver", { driver: "snmp" }, "restart", ["driver modbus -> snmp"]],
    ["a silence", { silenceMs: 60_000 }, "restart", ["silenceMs 0 ms -> 1 min"]],
    ["a name and a host", { name: "b", ...settings({ unit: 3 }) }, "restart", ["unit 1 -> 3", "name a -> b"]],
    ["off", { enabled: false }, "stop", ["enabled true -> false"]],
  ])("knows what %s does to a device that runs", (_what, more, action, keys) => {
    const found = plan(site([device("a"), device("b")]), site([device("a", more), device("b")]));
    const [one, ...others] = found.devices;
    expect(others).toEqual([]);
    expect(one).toMatchObject({ device: "a", action });
    const texts = one?.keys.map(({ key, before = "-", after = "-" }) => `${key} ${before} -> ${after}`);
    expect(texts).toEqual(expect.arrayContaining(keys));
    expect(found.untouched).toBe(1);
    expect(found.restartsGateway).toBe(false);
  });

  it("starts what is new or switched on, stops what is gone, and runs nothing that is off", () => {
    const before = site([
      device("gone"),
      device("off", { enabled: false }),
      device("still", { enabled: false }),
    ]);
    const after = site([device("off"), device("still", { enabled: false, name: "x" }), device("new")]);
    const found = plan(before, after);
    expect(found.devices.map(({ device: id, action, change }) => [id, action, change])).toEqual([
      ["off", "start", undefined],
      ["still", "none", undefined],
      ["new", "start", "added"],
      ["gone", "stop", "removed"],
    ]);
    expect(summaryOf(found)).toBe("+1 -1 ~2");
  });

  it.each<[string, Partial<Site>, string, boolean]>([
    ["log", { log: { level: "debug" } }, "log.level", true],
    ["health", { health: { host: "127.0.0.1", port: 9464 } }, "health.host", true],
    ["commands", { commands: { ...site([]).commands, ratePerMinute: 10 } }, "commands.ratePerMinute", false],
    ["gateway.state", { gateway: { ...site([]).gateway, stateFolder: "/x" } }, "gateway.state", true],
    ["gateway.name", { gateway: { ...site([]).gateway, name: "x" } }, "gateway.name", false],
    ["privacy", { privacy: { personalData: "token" } }, "privacy.personalData", true],
  ])("knows whether %s restarts the whole gateway", (_key, more, key, restarts) => {
    const found = plan(site([device("a")]), site([device("a")], more));
    expect(found.site.map((one) => one.key)).toContain(key);
    expect(found.restartsGateway).toBe(restarts);
    expect(found.untouched).toBe(restarts ? 0 : 1);
  });

  it("tells that a secret is another one, and never which", () => {
    const [before, after] = [site([device("a")]), site([device("a", settings({ password: "Hunter-23" }))])];
    const found = plan(before, after);
    expect(found.devices[0]?.keys).toEqual([{ key: "password" }]);
    const held = JSON.stringify([factsOf(before), factsOf(after), found]);
    expect(held).not.toContain("Hunter");
  });
});

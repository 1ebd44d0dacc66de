import { describe, expect, it } from "vitest";
import { checkRename, harmOf, type Seen } from "./gate.ts";
import type { DeviceAction, Plan } from "./plan.ts";

type Device = Seen["devices"][number];

const device = (id: string, state: Device["state"], driver = "modbus"): Device => ({
  id,
  driver,
  enabled: true,
  state,
});
const host = (restarts: number, driver = "modbus", state = "running") => ({ driver, restarts, state });

function seen(devices: Device[], more: Partial<Seen> = {}): Seen {
  return { uplinks: [{ id: "ioc", state: "connected" }], hosts: [host(0)], devices, ...more };
}

function plan(devices: Record<string, DeviceAction>, restartsGateway = false): Plan {
  const changes = Object.entries(devices).map(([id, action]) => ({ device: id, action, keys: [] }));
  return { site: [], devices: changes, restartsGateway, untouched: 0 };
}

const online = seen([device("a", "online"), device("b", "online")]);
const cut = { uplinks: [{ id: "ioc", state: "waiting", reason: "ECONNREFUSED" }] };

describe("the gate behind a change", () => {
  it("takes back what has lost a device that was online, once its time is up", () => {
    const after = seen([device("a", "lost"), device("b", "online")]);
    expect(harmOf(plan({ a: "restart" }), online, after, false)).toBeUndefined();
    expect(harmOf(plan({ a: "restart" }), online, after, true)).toBe("a was online before and is not");
  });

  it("minds the neighbour in the same host, and not a device of another one", () => {
    const others = [device("a", "online"), device("b", "lost"), device("c", "lost", "snmp")];
    const before = seen(others.map((one) => ({ ...one, state: "online" as const })));
    expect(harmOf(plan({ a: "restart" }), before, seen(others), true)).toBe("b was online before and is not");
    const far = seen([device("a", "online"), device("b", "online"), device("c", "lost", "snmp")]);
    expect(harmOf(plan({ a: "restart" }), before, far, true)).toBeUndefined();
  });

  it("does not count what was down before, is new, or is switched off", () => {
    const before = seen([device("down", "lost"), device("off", "online")]);
    const after = seen([
      device("down", "lost"),
      { ...device("off", "lost"), enabled: false },
      device("new", "lost"),
    ]);
    expect(harmOf(plan({ down: "restart", off: "stop", new: "start" }), before, after, true)).toBeUndefined();
  });

  it("takes back at once what ends a host, and lets be one that was sick before", () => {
    const after = seen(online.devices.slice(), { hosts: [host(1)] });
    expect(harmOf(plan({ a: "restart" }), online, after, false)).toMatch(/host of the driver "modbus" ended/);
    const sick = seen(online.devices.slice(), { hosts: [host(3)] });
    const sicker = seen(online.devices.slice(), { hosts: [host(4)] });
    expect(harmOf(plan({ a: "restart" }), sick, sicker, false)).toBeUndefined();
    const fresh = seen([device("new", "starting", "snmp")], { hosts: [host(1, "snmp", "waiting")] });
    expect(harmOf(plan({ new: "start" }), online, fresh, false)).toMatch(/"snmp" ended/);
  });

  it("takes back what has cut the link by a restart of the whole gateway, and only then", () => {
    const after = seen(online.devices.slice(), cut);
    expect(harmOf(plan({}, true), online, after, true)).toBe(
      'the link "ioc" was connected before and is not: ECONNREFUSED',
    );
    expect(harmOf(plan({}, true), online, after, false)).toBeUndefined();
    expect(harmOf(plan({ a: "restart" }), online, after, true)).toBeUndefined();
    const offline = seen(online.devices.slice(), cut);
    expect(harmOf(plan({}, true), offline, after, true)).toBeUndefined();
  });
});

it("lets no gateway take another id, also where the plan may not show the old one", () => {
  const site = [{ key: "gateway.id", after: "box-b", restarts: true }];
  const status = seen([], { gateway: { id: "box-a" }, outbox: { rows: 3 } });
  const gateway = { id: "box-b", stateFolder: "/state" };
  expect(() => checkRename({ ...plan({}, true), site }, status, gateway)).toThrow(
    /"box-a", and the site file says "box-b"; undelivered events: 3$/,
  );
  const elsewhere = [...site, { key: "gateway.state", restarts: true }];
  expect(() => checkRename({ ...plan({}, true), site: elsewhere }, status, gateway)).not.toThrow();
  expect(() => checkRename(plan({}, true), status, gateway)).not.toThrow();
});

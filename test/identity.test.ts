import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { quality } from "../gateway/event.ts";
import { IdentityRig } from "./identity-rig.ts";

/** Firmware and unit of a device, as the host finds them while it runs: all drivers that can ask before their simulators. */

const rigs: IdentityRig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

const unit = { vendor: "Kerb Works", model: "K-1", firmware: "1.0", serial: "A0042" };
const waitMs = 10_000;

/** Where each asks: function 43/14, the common model by the profile and by its chain, upsIdent, GetDeviceInformation, aI!, a document, BuildInfo, Version. */
const subjects = {
  modbus: ["modbus", "eastron/sdm630", { functions: [3, 4, 43] }],
  sunspec: ["modbus", "sunspec/meter-203", {}],
  chain: ["modbus", "sunspec/meter-203", { sunspec: true }],
  snmp: ["snmp", "ups/rfc1628", {}],
  onvif: ["onvif", "onvif/profile-t", {}],
  serial: ["serial", "generic/sdi12-level", {}],
  http: ["http", "generic/json-meter", {}],
  opcua: ["opcua", "opcua/signal-controller", { security: "none" }],
  rsmp: ["rsmp", "rsmp/tlc", { sxl: ["0.9", "1.0", "1.9", "2.0", "2.9", "3.0"] }],
} as const;
type Name = keyof typeof subjects;
const names = Object.keys(subjects) as Name[];

async function open(name: Name, who: Partial<typeof unit> = {}): Promise<IdentityRig> {
  const [driver, profile, settings] = subjects[name];
  const rig = await IdentityRig.open(driver, profile, { ...unit, ...who }, settings);
  rigs.push(rig);
  return rig;
}

const unitEvents = (news: Record<string, unknown>[]) =>
  news.filter(({ state, change }) => state === "identity-changed" && change === "unit");

/** A unit that shows no serial number: a certificate of its own, maker and model. */
const strangers = {
  opcua: { become: { serial: "B0007" }, mark: "certificate" },
  rsmp: { become: { vendor: "Another", model: "X-9" }, mark: "model" },
} as const;

describe.each(Object.keys(strangers) as (keyof typeof strangers)[])(
  "another unit without a number, %s",
  (name) => {
    const { become, mark } = strangers[name];

    it("is told once and not written to, over restarts, until a person accepts it", async () => {
      const rig = await open(name);
      const first = rig.run();
      await expect.poll(() => first.loop.report.writable, { timeout: waitMs }).toBe(true);
      rig.become(become);
      await expect.poll(() => first.loop.report.unwritable?.code, { timeout: waitMs }).toBe("other-unit");
      const [event] = unitEvents(first.news) as {
        before: Record<string, string>;
        now: Record<string, string>;
      }[];
      expect(event?.before[mark]).toMatch(/./);
      expect(event?.now[mark]).not.toBe(event?.before[mark]);
      const from = first.told.length;
      await expect.poll(() => first.told.length, { timeout: waitMs }).toBeGreaterThan(from + 10);
      expect(unitEvents(first.news)).toHaveLength(1);
      await first.stop();
      const second = rig.run();
      await expect.poll(() => second.loop.report.unwritable?.code, { timeout: waitMs }).toBe("other-unit");
      expect(await second.loop.identifyNow(true)).toMatchObject({ writable: true });
      await second.stop();
    }, 60_000);

    it("may be written to again when the first one is back", async () => {
      const rig = await open(name);
      const { loop } = rig.run();
      await expect.poll(() => loop.report.writable, { timeout: waitMs }).toBe(true);
      rig.become(become);
      await expect.poll(() => loop.report.unwritable?.code, { timeout: waitMs }).toBe("other-unit");
      rig.become(unit);
      await expect.poll(() => loop.report.writable, { timeout: waitMs }).toBe(true);
    }, 60_000);
  },
);

const uncertain = { quality: quality.uncertain, code: "firmware-unknown" };
const good = { quality: 0, code: undefined };

describe.each(names)("a firmware at the ends of a range, %s", (name) => {
  it.each([
    ["0.9", "fresh", false],
    ["1.0", "old", true],
    ["1.9", "old", true],
    ["2.0", "fresh", true],
    ["2.9", "fresh", true],
    ["3.0", "fresh", false],
  ])("%s is read by the point %s; in range: %s", async (firmware, point, isInside) => {
    const rig = await open(name, { firmware });
    const { loop, told, news } = rig.run();
    await expect.poll(() => told.length, { timeout: waitMs }).toBeGreaterThan(3);
    for (const one of told) expect(one).toEqual({ point, ...(isInside ? good : uncertain) });
    const warnings = news.filter(({ state }) => state === "firmware-unknown");
    expect(warnings).toHaveLength(isInside ? 0 : 1);
    expect(loop.report.writable).toBe(isInside);
    if (!isInside) expect(loop.report.unwritable?.code).toBe("firmware-unknown");
    const shown = await loop.readNow([], false);
    expect(shown.map((one) => one.point)).toEqual([point]);
    expect(shown[0]).toMatchObject(
      isInside ? { status: "good" } : { status: "uncertain", code: "firmware-unknown" },
    );
  });
});

describe.each(names)("a firmware that changes while it runs, %s", (name) => {
  it("is noticed within one period, by new points and an event, without a new connection", async () => {
    const identifyMs = 1500;
    const rig = await open(name);
    const { loop, told, news, opens } = rig.run({ identifyMs });
    await expect.poll(() => told.length, { timeout: waitMs }).toBeGreaterThan(2);
    expect(told.every((one) => one.point === "old")).toBe(true);
    rig.become({ firmware: "2.0" });
    const changedMs = performance.now();
    const changes = () => news.filter(({ state }) => state === "identity-changed");
    await expect.poll(() => changes().length, { timeout: waitMs }).toBe(1);
    // The question itself takes a moment on a loaded machine.
    expect(performance.now() - changedMs).toBeLessThan(identifyMs + 1500);
    expect(changes()[0]).toMatchObject({
      change: "firmware",
      before: { firmware: "1.0" },
      now: { firmware: "2.0" },
    });
    const from = told.length;
    await expect.poll(() => told.length, { timeout: waitMs }).toBeGreaterThan(from + 2);
    for (const one of told.slice(from)) expect(one).toEqual({ point: "fresh", ...good });
    expect(loop.report).toMatchObject({ writable: true, state: "online" });
    rig.become({ firmware: "3.0" });
    await expect.poll(() => loop.report.writable, { timeout: waitMs }).toBe(false);
    const after = told.length;
    // Long enough to be asked once more, which is no news.
    await expect.poll(() => told.length, { timeout: waitMs }).toBeGreaterThan(after + 25);
    for (const one of told.slice(after)) expect(one).toEqual({ point: "fresh", ...uncertain });
    expect(news.filter(({ state }) => state === "firmware-unknown")).toHaveLength(1);
    // An RSMP site says its version when it calls: one that has a new one calls again.
    if (name === "rsmp") return;
    expect(news.filter(({ state }) => state === "online")).toHaveLength(1);
    expect(opens()).toBe(1);
  }, 40_000);
});

describe.each(["modbus43", "sunspec", "chain", "onvif", "http"] as const)("another unit, %s", (which) => {
  // Function 43 has no serial number: there it is the model that tells two units apart.
  const name = which === "modbus43" ? "modbus" : which;
  const other = which === "modbus43" ? { model: "K-9" } : { serial: "B0007" };

  it("is told once and not written to, over restarts, until a person accepts it", async () => {
    const rig = await open(name);
    const first = rig.run();
    await expect.poll(() => first.loop.report.writable, { timeout: waitMs }).toBe(true);
    rig.become(other);
    await expect.poll(() => first.loop.report.unwritable?.code, { timeout: waitMs }).toBe("other-unit");
    const [event] = unitEvents(first.news);
    const mark = Object.keys(other)[0]!;
    expect(event).toMatchObject({ before: { [mark]: unit[mark as "model"] }, now: other });
    const from = first.told.length;
    await expect.poll(() => first.told.length, { timeout: waitMs }).toBeGreaterThan(from + 10);
    expect(unitEvents(first.news)).toHaveLength(1);
    await first.stop();

    const second = rig.run();
    await expect.poll(() => second.loop.report.unwritable?.code, { timeout: waitMs }).toBe("other-unit");
    expect(unitEvents(second.news)).toHaveLength(1);
    await expect.poll(() => second.told.length, { timeout: waitMs }).toBeGreaterThan(1);
    expect(second.told.every(({ quality: bits }) => bits === 0)).toBe(true);
    expect(await second.loop.identifyNow(false)).toMatchObject({ writable: false });
    expect(await second.loop.identifyNow(true)).toMatchObject({ writable: true });
    await second.stop();

    const third = rig.run();
    await expect.poll(() => third.loop.report.writable, { timeout: waitMs }).toBe(true);
    expect(third.news.filter(({ state }) => state === "identity-changed")).toEqual([]);
  }, 40_000);

  it("may be written to again when the first one is back", async () => {
    const rig = await open(name);
    const { loop } = rig.run();
    await expect.poll(() => loop.report.writable, { timeout: waitMs }).toBe(true);
    rig.become(other);
    await expect.poll(() => loop.report.writable, { timeout: waitMs }).toBe(false);
    rig.become(unit);
    await expect.poll(() => loop.report.writable, { timeout: waitMs }).toBe(true);
  }, 40_000);
});

describe("a unit that is accepted before anything has been noticed", () => {
  it("is read by the points of its own firmware", async () => {
    const rig = await open("http");
    const { loop, told } = rig.run({ identifyMs: 600_000 });
    await expect.poll(() => told.map(({ point }) => point), { timeout: waitMs }).toContain("old");
    rig.become({ serial: "B0007", firmware: "2.5" });
    expect(await loop.identifyNow(true)).toMatchObject({ writable: true });
    await expect.poll(() => told.at(-1)?.point, { timeout: waitMs }).toBe("fresh");
    expect(loop.report.identity).toMatchObject({ serial: "B0007" });
  }, 40_000);
});

describe("the serial number of the site file", () => {
  it("counts more than who was there first, and cannot be accepted away", async () => {
    const rig = await open("sunspec");
    const first = rig.run();
    await expect.poll(() => first.loop.report.writable, { timeout: waitMs }).toBe(true);
    await first.stop();
    rig.become({ serial: "B0007" });
    const second = rig.run({ serial: "b0007" });
    await expect.poll(() => second.loop.report.writable, { timeout: waitMs }).toBe(true);
    await second.stop();
    const third = rig.run({ serial: "A0042" });
    await expect.poll(() => third.loop.report.unwritable?.code, { timeout: waitMs }).toBe("other-unit");
    await expect(third.loop.identifyNow(true)).rejects.toThrow(/site file says "serial: A0042"/);
    expect(third.loop.report.writable).toBe(false);
  }, 40_000);

  it("is missed where the device tells none", async () => {
    const rig = await open("modbus");
    const { loop } = rig.run({ serial: "A0042" });
    await expect.poll(() => loop.report.unwritable?.code, { timeout: waitMs }).toBe("unit-untold");
  });
});

describe("what stands against a write", () => {
  it("is that nobody has looked yet", async () => {
    const rig = await open("modbus");
    rig.simulator.fault("silent");
    const { loop } = rig.run();
    expect(loop.report).toMatchObject({ writable: false });
  });

  it("is a pin that cannot be read, until a person accepts the unit", async () => {
    const rig = await open("onvif");
    const first = rig.run();
    await expect.poll(() => first.loop.report.writable, { timeout: waitMs }).toBe(true);
    const pin = join(rig.folder, "units", "one.json");
    // It is written beside the polls.
    await expect.poll(() => existsSync(pin), { timeout: waitMs }).toBe(true);
    await first.stop();
    writeFileSync(pin, "");
    const second = rig.run();
    await expect.poll(() => second.loop.report.unwritable?.code, { timeout: waitMs }).toBe("unit-unreadable");
    expect(await second.loop.identifyNow(true)).toMatchObject({ writable: true });
  }, 40_000);

  it("is a firmware that is not told, where the profile's range ends somewhere", async () => {
    const rig = await open("http");
    rig.become({ firmware: "" });
    const { loop, told } = rig.run();
    await expect.poll(() => loop.report.unwritable?.code, { timeout: waitMs }).toBe("firmware-untold");
    await expect.poll(() => told.length, { timeout: waitMs }).toBeGreaterThan(1);
    expect(told[0]).toEqual({ point: "fresh", ...good });
  });
});

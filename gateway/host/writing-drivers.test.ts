import { afterEach, describe, expect, test } from "vitest";
import { online, rigOf, type Rig, writable } from "./test-writing.ts";

/** The same writes over other protocols: a device that is asked, one that is subscribed to, and one that only pushes. */

const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

async function up(starting: Promise<Rig>, isTold = false): Promise<Rig> {
  const rig = await starting;
  rigs.push(rig);
  if (isTold) await expect.poll(() => rig.loop.report.state, { timeout: 10_000 }).toBe("listening");
  else await online(rig);
  return rig;
}

const lastPort = (address: string) => Number(/:(\d+)(?:\/|$)/.exec(address)?.[1]);

const put = { method: "PUT", path: "/level", body: { level: "{value}" } };
const http = () =>
  up(
    rigOf({
      driver: "http",
      settings: { host: "127.0.0.1", port: 0, timeout: 500 },
      placed: (address) => ({ port: lastPort(address) }),
      points: [
        { name: "level", address: { path: "/all", pick: "$.level", write: put }, scale: 0.1, ...writable },
        { name: "door", address: { path: "/all", pick: "$.door" } },
        {
          name: "guarded",
          address: { path: "/all", pick: "$.guarded", write: { ...put, path: "/guarded" } },
          write: { interlock: [{ point: "door", equals: 0 }] },
        },
      ],
    }),
  );

const oid = (last: number) => `1.3.6.1.4.1.99999.1.${last}.0`;
const snmp = () =>
  up(
    rigOf({
      driver: "snmp",
      settings: { host: "127.0.0.1", port: 0, version: "2c", timeout: 300 },
      placed: (address) => ({ port: lastPort(address) }),
      points: [
        { name: "level", address: { oid: oid(1), type: "number" }, scale: 0.1, ...writable },
        { name: "door", address: { oid: oid(2), type: "number" } },
        {
          name: "guarded",
          address: { oid: oid(3), type: "number" },
          write: { interlock: [{ point: "door", equals: 0 }] },
        },
        // NTCIP 1202 phaseControlGroupVehCall.
        {
          name: "phase",
          address: { oid: "1.3.6.1.4.1.1206.4.2.1.1.5.1.6.1", type: "number" },
          ...writable,
        },
      ],
    }),
  );

const opcua = () =>
  up(
    rigOf({
      driver: "opcua",
      settings: {
        host: "127.0.0.1",
        port: 0,
        security: "none",
        timeout: 1000,
        namespaces: { k: "urn:kerb" },
      },
      placed: (address) => ({ port: lastPort(address) }),
      points: [
        {
          name: "level",
          address: { path: "k:Level", type: "Double" },
          scale: 0.1,
          poll: "push",
          ...writable,
        },
        { name: "door", address: { path: "k:Door", type: "Int32" } },
        {
          name: "guarded",
          address: { path: "k:Guarded", type: "Int32" },
          write: { interlock: [{ point: "door", equals: 0 }] },
        },
      ],
    }),
  );

describe.each([
  ["http", http],
  ["snmp", snmp],
  ["opcua", opcua],
])("%s", (name, start) => {
  test("is written to once and read back", { timeout: 30_000 }, async () => {
    const rig = await start();
    rig.simulator.set("level", 2);
    expect(await rig.write("level", 4.5)).toMatchObject({ state: "done", before: 2, readBack: 4.5 });
    expect(rig.written()).toHaveLength(1);
    // Of what is pushed it is the newest that it has told.
    const shown = async () => (await rig.loop.readNow(["level"], false))[0]?.value;
    await expect.poll(shown, { timeout: 5000 }).toBe(4.5);

    rig.simulator.set("door", 1);
    expect(await rig.write("guarded", 5)).toMatchObject({ state: "failed", code: "interlock" });
    expect(rig.written()).toHaveLength(1);

    rig.simulator.writes!.heard = () => setImmediate(() => rig.simulator.set("level", 1));
    const stubborn = await rig.write("level", 9, 600);
    // Somebody else may have been quicker than the device's own mind.
    expect(["failed", "done"]).toContain(stubborn.state);
    if (stubborn.state === "failed")
      expect(stubborn).toMatchObject({ code: "not-as-commanded", readBack: 1 });
    expect(rig.written()).toHaveLength(2);
    expect(rig.loop.report.state).toBe("online");
  });

  test("that falls silent over it leaves it unknown", { timeout: 30_000 }, async () => {
    const rig = await start();
    rig.simulator.writes!.heard = () => rig.simulator.fault("silent");
    const outcome = await rig.write("level", 4.5, 1500);
    expect(outcome).toMatchObject({ state: "unknown" });
    expect(rig.written()).toHaveLength(1);
    rig.simulator.fault(undefined);
    if (name !== "opcua") {
      await expect.poll(() => rig.loop.report.state, { timeout: 10_000 }).toBe("online");
      expect(rig.written()).toHaveLength(1);
    }
  });
});

test("http: a no of the device is its no", async () => {
  const rig = await up(
    rigOf({
      driver: "http",
      settings: { host: "127.0.0.1", port: 0, timeout: 500 },
      placed: (address) => ({ port: lastPort(address) }),
      points: [
        {
          name: "level",
          address: { path: "/all", pick: "$.level", write: put },
          ...writable,
          simulated: { address: { path: "/all", pick: "$.level" } },
        },
      ],
    }),
  );
  expect(await rig.write("level", 3)).toMatchObject({ state: "failed", code: "rejected", before: 0 });
  expect(rig.simulator.writes?.all.map(({ isTaken }) => isTaken)).toEqual([false]);
});

test("snmp: a phase is never driven, whatever the profile says", async () => {
  const rig = await snmp();
  expect(await rig.write("phase", 1)).toMatchObject({ state: "failed", code: "unsupported" });
  expect(rig.written()).toEqual([]);
});

/** The device tells values, and they are heard. */
async function told(rig: Rig, values: Record<string, number>): Promise<void> {
  for (const [point, value] of Object.entries(values)) rig.simulator.set(point, value);
  const [point, value] = Object.entries(values)[0]!;
  await expect.poll(() => rig.loop.latest().find((one) => one.point === point)?.value).toEqual(value);
}

describe("mqtt", () => {
  const state = { path: "$.state", type: "boolean", isTrue: "ON", isFalse: "OFF", write: {} };
  const mqtt = () =>
    up(
      rigOf({
        driver: "mqtt",
        settings: {
          host: "127.0.0.1",
          port: 0,
          timeout: 500,
          format: "zigbee2mqtt",
          variables: { name: "plug" },
        },
        placed: (address) => ({ port: lastPort(address) }),
        points: [
          { name: "on", address: state, kind: "boolean", poll: "push", ...writable },
          { name: "level", address: { path: "$.level", write: {} }, poll: "push", ...writable },
          { name: "door", address: { path: "$.door", type: "number" }, poll: "push" },
          {
            name: "guarded",
            address: { path: "$.guarded", write: {} },
            poll: "push",
            write: { interlock: [{ point: "door", equals: 0 }] },
          },
        ],
      }),
      true,
    );

  test("waits until the device tells what it was told", async () => {
    const rig = await mqtt();
    await told(rig, { level: 3, on: 0, door: 0, guarded: 0 });
    expect(await rig.write("level", 7)).toMatchObject({ state: "done", before: 3, readBack: 7 });
    expect(await rig.write("on", true)).toMatchObject({ state: "done", before: false, readBack: true });
    expect(rig.written()).toEqual([
      'zigbee2mqtt/plug/set {"level":7}',
      'zigbee2mqtt/plug/set {"state":"ON"}',
    ]);
  });

  test("what it had told before the write is no read-back, even the very value", async () => {
    const rig = await mqtt();
    await told(rig, { level: 7, on: 0, door: 0, guarded: 0 });
    rig.simulator.writes!.heard = () => rig.simulator.fault("silent");
    const outcome = await rig.write("level", 7, 500);
    expect(outcome).toMatchObject({ state: "unknown", code: "not-read-back", before: 7 });
    expect(outcome.readBack).toBeUndefined();
    expect(rig.written()).toHaveLength(1);
  });

  test("what it had told before the write is no evidence later, and before a given moment neither", async () => {
    const rig = await mqtt();
    await told(rig, { level: 3, on: 0, door: 0, guarded: 0 });
    expect(await rig.shown("level", 3)).toEqual({ value: 3, isSame: true });
    rig.simulator.writes!.heard = () => rig.simulator.fault("silent");
    expect(await rig.write("level", 7, 300)).toMatchObject({ state: "unknown" });
    expect(await rig.shown("level", 7)).toMatchObject({ value: null, code: "unreadable" });
    rig.simulator.fault(undefined);
    rig.simulator.writes!.heard = undefined;
    await told(rig, { level: 8 });
    expect(await rig.shown("level", 7)).toEqual({ value: 8, isSame: false });
  });

  test("another value that it tells says nothing for sure", async () => {
    const rig = await mqtt();
    await told(rig, { level: 3, on: 0, door: 0, guarded: 0 });
    rig.simulator.writes!.heard = () => {
      rig.simulator.fault("slow", 60_000);
      setImmediate(() => rig.simulator.fault(undefined));
      setTimeout(() => rig.simulator.set("level", 3), 100);
    };
    expect(await rig.write("level", 7, 600)).toMatchObject({
      state: "unknown",
      code: "not-read-back",
      readBack: 3,
    });
  });

  test("holds to an interlock that it has told, and to none that is unknown", async () => {
    const rig = await mqtt();
    await told(rig, { guarded: 1, door: 1, level: 0, on: 0 });
    expect(await rig.write("guarded", 2)).toMatchObject({ state: "failed", code: "interlock" });
    await told(rig, { door: 0 });
    expect(await rig.write("guarded", 2)).toMatchObject({ state: "done" });
    expect(rig.written()).toHaveLength(1);
  });

  test("that loses its broker over it leaves it unknown", { timeout: 20_000 }, async () => {
    const rig = await mqtt();
    await told(rig, { level: 3, on: 0, door: 0, guarded: 0 });
    rig.simulator.writes!.heard = () => rig.simulator.fault("restart", 5000);
    expect(await rig.write("level", 7, 1000)).toMatchObject({ state: "unknown" });
    expect(rig.written()).toHaveLength(1);
  });
});

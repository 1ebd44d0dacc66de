import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { EventReader, type EventKind } from "../gateway/event.ts";
import { DeviceLoop } from "../gateway/host/device.ts";
import { openHandover } from "../gateway/host/test-handover.ts";
import { FrameSplitter } from "../gateway/outbox/frames.ts";
import { decodeCloudEvents, encodeCloudEvents } from "../gateway/uplink/cloudevents.ts";
import { decodeColumnar, encodeColumnar } from "../gateway/uplink/columnar.ts";
import { Dictionary } from "../gateway/uplink/encoding.ts";
import { loadModels } from "../gateway/profiles/models.ts";
import { loadProfile, mergeSettings, simulatedPoints, type Profile } from "../gateway/profiles/profiles.ts";
import { hostDevice, registration } from "../gateway/config/site-devices.ts";
import type { DeviceConfig } from "../gateway/config/config.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { loadSubject, profileIdentity, type Subject } from "./contract/contract.ts";

/** Street lighting end to end: an IOC cannot tell whether a feeder pillar speaks Modbus or HTTP. */

const ids = ["generic/feeder-pillar-modbus", "generic/feeder-pillar-http"] as const;
const profiles = ids.map((id) => loadProfile(id));

/** What an IOC notices of a point beside what its model says: gateway/profiles/models.test.ts holds both to that. */
const noticedOf = ({ points }: Profile) =>
  points.map(({ name, label, decimals, limits, deadband, heartbeat, poll }) => ({
    name,
    label,
    decimals,
    limits,
    deadband,
    heartbeat,
    poll,
  }));

describe("the two feeder pillars", () => {
  it("have every point of their model, alike to the decimals, limits, dead bands, alarms and periods", () => {
    const [modbus, http] = profiles as [Profile, Profile];
    expect(noticedOf(modbus)).toEqual(noticedOf(http));
    expect(modbus.alarms).toEqual(http.alarms);
    expect([modbus.poll, modbus.silence]).toEqual([http.poll, http.silence]);
    const { points } = loadModels().classes["light-cabinet"]!;
    const shown = modbus.points.map(({ name }) => name.replace(/(?<=L|group)\d$/, "{n}"));
    expect(Object.keys(points).toSorted()).toEqual([...new Set(shown)].toSorted());
  });
});

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** What an IOC has got of a pillar, without the times, which are never the same. */
interface Seen {
  /** The newest value of each point, as it goes over the wire. */
  readings: Record<string, unknown>;
  alarms: unknown[];
  /** What the IOC's dictionary says of the device, without its id and profile. */
  dictionary: unknown;
}

/** The device index under which both pillars are known to their outbox. */
const index = 7;

/** A pillar's simulator behind the real host, and what leaves of it. */
async function pillar(
  subject: Subject,
  profile: Profile,
): Promise<{ simulator: Simulator; seen: () => Seen }> {
  const placed = (port: number) =>
    subject.name === "modbus"
      ? { transport: { type: "tcp", host: "127.0.0.1", port } }
      : { host: "127.0.0.1", port };
  const simulator = await subject.start({
    profile: profile.id,
    points: simulatedPoints(profile, profileIdentity),
    settings: mergeSettings(profile.settings, placed(0)),
    identity: profileIdentity,
  });
  cleanups.push(() => simulator.close());
  const port = Number(/:(\d+)/.exec(simulator.address.replace("://", " "))?.[1]);
  const parse = (address: unknown) => subject.schemas.address.parse(address);
  const { firmware } = profile.identify;
  const config: DeviceConfig = {
    id: "pillar",
    name: "pillar",
    driver: profile.driver,
    enabled: true,
    profile: profile.id,
    class: profile.class,
    firmwareRange: "*",
    identity: undefined,
    silenceMs: 0,
    records: [],
    settings: subject.schemas.settings.parse(mergeSettings(profile.settings, placed(port))),
    identify: { ...profile.identify, ...(firmware === undefined ? {} : { firmware: parse(firmware) }) },
    pollMs: { fast: 100, normal: 100, slow: 100 },
    points: profile.points.map((point) => ({ ...point, address: parse(point.address) })),
    alarms: profile.alarms,
    place: { file: "", line: 0 },
  };
  const device = registration(config);
  const points = device.points.map((point, i) => ({ ...point, index: 100 + i }));
  const stream = new PassThrough();
  const loop = new DeviceLoop({
    driver: subject.driver,
    device: hostDevice(config, { index, points }, { how: "drop" }),
    line: undefined,
    phase: 0,
    handover: openHandover(stream),
    context: { deviceId: "pillar", log: () => {} },
    changed: () => {},
  });
  const running = loop.run();
  cleanups.push(async () => {
    await loop.stop();
    await running;
  });
  const dictionary = new Dictionary("00000000", [
    { index, id: device.id, type: device.type, profile: device.profile, points },
  ]);
  const bodies = handedOver(stream);
  return { simulator, seen: () => seenBy(dictionary, bodies) };
}

/** The events of a host, as its outbox would get them. */
function handedOver(stream: PassThrough): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  const splitter = new FrameSplitter();
  stream.on("data", (bytes: Buffer) => {
    for (const { body } of splitter.push(bytes)) bodies.push(Uint8Array.from(body));
  });
  return bodies;
}

/** Through both encodings, which must agree, and decoded as by a receiver. */
function seenBy(dictionary: Dictionary, bodies: readonly Uint8Array[]): Seen {
  const reader = new EventReader();
  const wanted: readonly EventKind[] = ["telemetry", "alarm"];
  const rows = bodies
    .filter((body) => {
      reader.open(body);
      return wanted.includes(reader.kind);
    })
    .map((body, i) => ({ seq: i + 1, recordedMs: 0, body }));
  const [device] = dictionary.devices;
  const seen: Seen = { readings: {}, alarms: [], dictionary: { type: device?.type, points: device?.points } };
  if (rows.length === 0) return seen;
  const header = { city: "LS", gateway: "gw", epoch: 1, lane: "live" as const, dictionary };
  const clouds = decodeCloudEvents(JSON.parse(encodeCloudEvents(header, rows))).events(dictionary);
  const columns = decodeColumnar(JSON.parse(encodeColumnar(header, rows))).events(dictionary);
  expect(columns.map(({ kind, readings }) => [kind, readings?.map(({ value }) => value)])).toEqual(
    clouds.map(({ kind, readings }) => [kind, readings?.map(({ value }) => value)]),
  );
  for (const event of clouds) {
    if (event.kind === "alarm") seen.alarms.push(event.data);
    for (const { point, value, unit, quality, detail } of event.readings ?? [])
      seen.readings[point] = { value, unit, quality, detail };
  }
  return seen;
}

/** A state of the street in engineering values; an enumeration is pinned by each side's own code. */
const night: Record<string, number> = {
  "photocell.dark": 1,
  "lightOn.group1": 1,
  "lightOn.group2": 1,
  "lightOn.group3": 0,
  "dimLevel.group1": 100,
  "dimLevel.group2": 60,
  "dimLevel.group3": 0,
  "voltage.L1": 231.2,
  "voltage.L2": 229.9,
  "voltage.L3": 230,
  "current.L1": 4.25,
  "current.L2": 3.98,
  "current.L3": 0.07,
  "activePower.total": 1840,
  "powerFactor.total": 0.94,
  frequency: 49.9,
  "activeEnergy.import": 12345.6,
  "door.open": 0,
  "breakerTripped.main": 0,
  "breakerTripped.group1": 0,
  "breakerTripped.group2": 0,
  "breakerTripped.group3": 0,
};

const isAt = (seen: Seen, state: Record<string, number>) =>
  Object.entries(state).every(([name, value]) => {
    const shown = (seen.readings[name] as { value: unknown } | undefined)?.value;
    return shown === (typeof shown === "boolean" ? value === 1 : value);
  });

async function until(what: string, isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + 15_000;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`not within 15 s: ${what}`);
    await sleep(50);
  }
}

const values = (name: string, value: boolean) => ({ values: { [name]: { value } } });

describe("two feeder pillars in the same state", () => {
  it("give the same events but for their times, whichever protocol is behind, and the same alarms", async () => {
    const [modbus, http] = await Promise.all(
      profiles.map(async (profile) => pillar(await loadSubject(profile.driver), profile)),
    );
    const both = [modbus!, http!];
    const pin = async (state: Record<string, number>) => {
      for (const { simulator } of both)
        for (const [name, value] of Object.entries(state)) simulator.set(name, value);
      await until(JSON.stringify(state), () => both.every(({ seen }) => isAt(seen(), state)));
    };
    await pin(night);
    const [first, second] = both.map(({ seen }) => seen());
    expect(Object.keys(first!.readings).toSorted()).toEqual(
      Object.keys(night).concat("workingMode").toSorted(),
    );
    expect(first!.readings["workingMode"]).toMatchObject({ value: "automatic" });
    expect(second).toEqual(first);
    // The same state, and yet not the same numbers behind it: kW and "AUTO" here, W and 0 there.
    const client = "clientAddress=00000000-0000-4000-8000-000000000000";
    const shown = await fetch(`${http!.simulator.address}/devices/cabinet-1?${client}`);
    const { functions } = (await shown.json()) as { functions: { id: string }[] };
    expect(functions.find(({ id }) => id === "meter")).toMatchObject({ totalPower: { value: 1.84 } });
    expect(functions).toContainEqual({ id: "controller", workingMode: { value: "AUTO" } });

    for (const state of [{ "door.open": 1 }, { "breakerTripped.group2": 1 }, { "door.open": 0 }])
      await pin(state);
    await until("three alarms", () => both.every(({ seen }) => seen().alarms.length === 3));
    const alarms = both.map(({ seen }) => seen().alarms);
    expect(alarms[1]).toEqual(alarms[0]);
    expect(alarms[0]).toEqual([
      {
        record: "doorOpen",
        category: "access",
        severity: "medium",
        state: "active",
        ...values("door.open", true),
      },
      {
        record: "breakerTripped.group2",
        category: "electrical",
        severity: "high",
        state: "active",
        ...values("breakerTripped.group2", true),
      },
      {
        record: "doorOpen",
        category: "access",
        severity: "medium",
        state: "inactive",
        ...values("door.open", false),
      },
    ]);
  });
});

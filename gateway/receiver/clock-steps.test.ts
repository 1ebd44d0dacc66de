import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EventWriter, quality, type ClockState, type DictionaryDevice, type EventKind } from "../event.ts";
import { gap } from "../gaps.ts";
import { encodeCloudEvents } from "../uplink/cloudevents.ts";
import { encodeColumnar } from "../uplink/columnar.ts";
import { compress, Dictionary, type EncodingName } from "../uplink/encoding.ts";
import { Receiver } from "./receiver.ts";
import { city, temporaryFolder } from "./testing.ts";

const gateway = "gw-1";
const devices: DictionaryDevice[] = [
  { index: 0, id: gateway, type: "gateway", profile: "", points: [] },
  {
    index: 1,
    id: "wl-03",
    type: "water-level",
    profile: "dfrobot/sen0676",
    points: [{ index: 10, name: "waterLevel", unit: "m", kind: "number", decimals: 3 }],
  },
];
const dictionary = new Dictionary("9f3c21aa", devices);
/** The true time at which the box booted; its clock shows 1970. */
const bootMs = Date.parse("2026-11-21T00:00:00Z");

let folder: ReturnType<typeof temporaryFolder>;
let receiver: Receiver;
beforeEach(() => {
  folder = temporaryFolder();
  receiver = new Receiver({ database: folder.file });
  const message = { v: 1, dict: dictionary.hash, devices };
  receiver.dictionary(gateway, compress(JSON.stringify(message)));
});
afterEach(() => {
  receiver.close();
  folder.remove();
});

interface Sent {
  seq: number;
  monoMs: number;
  wallMs: number;
  clock: ClockState;
  kind?: EventKind;
  device?: number;
  data?: Record<string, unknown>;
  recordedMs?: number;
  /** Of the reading against its event. */
  offsetMs?: number;
  point?: number;
  bits?: number;
}

const writer = new EventWriter();

function take(list: readonly Sent[], encoding: EncodingName = "columnar", epoch = 5, by = dictionary): void {
  const encode = encoding === "columnar" ? encodeColumnar : encodeCloudEvents;
  const rows = list.map(({ seq, monoMs, wallMs, clock, kind = "telemetry", device = 1, ...more }) => {
    const { data, offsetMs = -40, bits = 0, point = 10, recordedMs = wallMs + 500 } = more;
    writer.begin(kind, device, wallMs, monoMs, clock);
    if (kind === "telemetry") {
      writer.count(1);
      writer.reading(point, bits === 0 ? seq : null, 3, bits, undefined, offsetMs);
    } else writer.object(data ?? {});
    return { seq, recordedMs, body: Buffer.from(writer.bytes()) };
  });
  const header = { city, gateway, epoch, lane: "live" as const, dictionary: by };
  expect(receiver.take(gateway, "live", compress(encode(header, rows)))).toBe("stored");
  expect(receiver.flush()).toBe(true);
  receiver.view().catchUp(1000);
}

/** Told while the clock stands at 1970. */
const early = (seq: number, monoMs: number): Sent => ({ seq, monoMs, wallMs: monoMs, clock: "unsynced" });

function step(seq: number, monoMs: number, wallMs: number, clock: ClockState, epochs = [5]): Sent {
  const data = gap("clock_step", monoMs, wallMs, { stepMs: wallMs - monoMs, boot: "b", epochs, monoMs });
  return { seq, monoMs, wallMs, clock, kind: "gap", device: 0, data };
}

const events = () => receiver.events(gateway, { epoch: 0, after: 0 }, 100).events;
const ownMs = () => receiver.latest(gateway).values[0]!.timeMs;
const level = () => receiver.view().device(gateway, "wl-03")!.state.points["waterLevel"]!;

describe("times of a gateway whose clock was wrong", () => {
  it.each(["columnar", "cloudevents"] as const)("are put right when it is set, over %s", (encoding) => {
    take([early(1, 60_000)], encoding);
    expect(events()[0]).toMatchObject({ clock: "unsynced", timeMs: 60_000 });
    expect(level().unsynced).toBe(true);
    take([step(2, 100_000, bootMs + 100_000, "synced")], encoding);
    const [event] = events();
    expect(event).toMatchObject({ clock: "holdover", toldMs: 60_000 });
    expect(Math.abs(event!.timeMs - (bootMs + 60_000))).toBeLessThan(2);
    expect(Math.abs(event!.recordedMs - (bootMs + 60_500))).toBeLessThan(2);
    expect(Math.abs(event!.readings![0]!.timeMs - (bootMs + 59_960))).toBeLessThan(2);
    expect(event!.readings![0]!.quality & quality.clockUnsynced).toBe(0);
    const [value] = receiver.latest(gateway).values;
    expect(Math.abs(value!.timeMs - (bootMs + 59_960))).toBeLessThan(2);
    expect(level()).not.toHaveProperty("unsynced");
    expect(Math.abs(level().timeMs - (bootMs + 59_960))).toBeLessThan(2);
  });

  it("have their acceptance put right too, however long they waited: it is told by the same clock", () => {
    const told = early(1, 60_000);
    const waitedMs = 5 * 3_600_000;
    take([{ ...told, recordedMs: told.wallMs + waitedMs }]);
    // A step that is shorter than the wait.
    take([step(2, 100_000, told.wallMs + 40_000 + 3_600_000, "synced")]);
    const rightMs = told.wallMs + 3_600_000;
    expect(events()[0]).toMatchObject({ timeMs: rightMs, recordedMs: rightMs + waitedMs });
  });

  it("are put right also where they come behind the jump, and after a restart of the receiver", () => {
    take([step(9, 100_000, bootMs + 100_000, "synced")]);
    receiver.close();
    receiver = new Receiver({ database: folder.file });
    take([early(3, 70_000)]);
    expect(events()[0]).toMatchObject({ seq: 3, clock: "holdover", timeMs: bootMs + 70_000 });
    expect(level().timeMs).toBe(bootMs + 69_960);
  });

  it("follow the first proof, not what was set by hand before; what cannot be known stays unsynced", () => {
    take([early(1, 60_000), step(2, 80_000, bootMs + 80_000 + 3_600_000, "holdover")]);
    expect(events()[0]!.timeMs).toBe(bootMs + 60_000 + 3_600_000);
    expect(level().timeMs).toBe(bootMs + 59_960 + 3_600_000);
    receiver.view().catchUp(1000);
    take([step(3, 90_000, bootMs + 90_000, "synced")]);
    expect(level().timeMs).toBe(bootMs + 59_960);
    take([early(4, 95_000)]);
    expect(events().map(({ seq, clock }) => [seq, clock])).toEqual([
      [1, "holdover"],
      [2, "holdover"],
      [3, "synced"],
      [4, "unsynced"],
    ]);
    expect(events()[0]!.timeMs).toBe(bootMs + 60_000);
    expect(level().unsynced).toBe(true);
    take([{ ...early(5, 96_000), clock: "synced", wallMs: bootMs + 96_000 }]);
    expect(level()).toMatchObject({ seq: 5, timeMs: bootMs + 95_960 });
    // Of another boot, or told by somebody else.
    take([early(1, 10_000)], "columnar", 6);
    expect(events().at(-1)).toMatchObject({ epoch: 6, clock: "unsynced" });
    take([{ ...step(2, 20_000, bootMs, "synced", [6]), device: 1 }], "columnar", 6);
    take([step(3, 20_000, bootMs, "unsynced", [6])], "columnar", 6);
    expect(events().find(({ epoch }) => epoch === 6)?.clock).toBe("unsynced");
  });

  it("correct the span of a gap, and not that of the jump itself", () => {
    const lost = gap("device_offline", 30_000, 60_000, { open: true });
    take([{ ...early(1, 60_000), kind: "gap", data: lost }]);
    take([step(2, 100_000, bootMs + 100_000, "synced")]);
    const [first, jump] = events();
    expect(first!.data).toMatchObject({ from: new Date(bootMs + 30_000).toISOString(), open: true });
    expect(jump!.data).toMatchObject({ from: new Date(100_000).toISOString() });
  });

  it("are put right once for a message full of jumps, and not again for those that are known", () => {
    take([early(1, 60_000)]);
    const jumps = Array.from({ length: 300 }, (_, i) =>
      step(i + 2, 100_000 + i, bootMs + 100_000 + i, "synced"),
    );
    take(jumps);
    receiver.close();
    const database = new Database(folder.file);
    const count = database.prepare("SELECT count(*) FROM clock_set").pluck().get();
    // Writes of the view, from here on.
    database.exec(
      "CREATE TABLE wrote (device TEXT); CREATE TRIGGER t AFTER INSERT ON latest BEGIN INSERT INTO wrote VALUES (new.device); END",
    );
    database.close();
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThanOrEqual(64);
    receiver = new Receiver({ database: folder.file });
    // The same jump under a number that is new.
    take([{ ...jumps.at(-1)!, seq: 302 }]);
    expect(level().timeMs).toBe(bootMs + 59_960);
    receiver.close();
    const after = new Database(folder.file);
    const wrote = after.prepare("SELECT count(*) FROM wrote").pluck().get();
    after.close();
    expect(wrote).toBe(0);
  });

  it("are not put later than the jump arrived", () => {
    take([early(1, 60_000)]);
    take([step(2, 100_000, Date.parse("2035-01-01T00:00:00Z"), "holdover")]);
    const { timeMs, seenMs } = { ...level(), ...receiver.view().device(gateway, "wl-03")!.state };
    expect(timeMs).toBeLessThanOrEqual(Date.now());
    expect(seenMs).toBeLessThanOrEqual(Date.now());
    // The proof puts right what the jump by hand had made too late.
    take([step(3, 110_000, bootMs + 110_000, "synced")]);
    expect(level().timeMs).toBe(bootMs + 59_960);
    expect(receiver.view().device(gateway, "wl-03")!.state.seenMs).toBe(bootMs + 59_960);
  });

  it("stay where the device itself knew the time", () => {
    // The box is an hour behind, the device is not.
    const hourMs = 3_600_000;
    const wrong = (seq: number, monoMs: number) => ({
      ...early(seq, monoMs),
      wallMs: bootMs + monoMs - hourMs,
      offsetMs: hourMs - 40,
    });
    take([wrong(1, 60_000)]);
    take([step(2, 2 * hourMs, bootMs + 2 * hourMs, "synced")]);
    expect(events()[0]).toMatchObject({ timeMs: bootMs + 60_000, readings: [{ timeMs: bootMs + 59_960 }] });
    expect(level()).not.toHaveProperty("unsynced");
    expect([level().timeMs, ownMs()]).toEqual([bootMs + 59_960, bootMs + 59_960]);
    take([wrong(3, 70_000)]);
    expect([level().timeMs, ownMs()]).toEqual([bootMs + 69_960, bootMs + 69_960]);
  });

  it("of a bad reading and of a status do not say that the device was seen", () => {
    take([early(1, 60_000), { ...early(2, 70_000), bits: quality.bad }]);
    const state = { state: "online" };
    take([{ ...early(3, 80_000), kind: "device-status", data: state }]);
    take([step(4, 100_000, bootMs + 100_000, "synced")]);
    const known = receiver.view().device(gateway, "wl-03")!.state;
    expect(known.status?.timeMs).toBe(bootMs + 80_000);
    expect(known.seenMs ?? 0).toBeLessThanOrEqual(bootMs + 60_000);
  });

  it("are told as behind while messages wait for their dictionary", () => {
    take([early(1, 60_000)]);
    expect(receiver.latest(gateway).behind).toBe(false);
    const level20 = { ...devices[1]!.points[0]!, index: 20 };
    const other = new Dictionary("0badcafe", [
      ...devices,
      { ...devices[1]!, index: 2, id: "wl-04", points: [level20] },
    ]);
    take([{ ...early(2, 61_000), device: 2, point: 20 }], "columnar", 5, other);
    expect(receiver.latest(gateway).behind).toBe(true);
  });

  it("are learnt from what an earlier version stored", () => {
    take([early(1, 60_000), step(2, 100_000, bootMs + 100_000, "synced")]);
    receiver.close();
    const database = new Database(folder.file);
    database.exec("DROP TABLE clock_set");
    database.close();
    receiver = new Receiver({ database: folder.file });
    receiver.view().catchUp(1000);
    expect(events()[0]).toMatchObject({ clock: "holdover", timeMs: bootMs + 60_000 });
  });
});

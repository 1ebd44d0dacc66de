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
}

const writer = new EventWriter();

function take(list: readonly Sent[], encoding: EncodingName = "columnar", epoch = 5): void {
  const encode = encoding === "columnar" ? encodeColumnar : encodeCloudEvents;
  const rows = list.map(({ seq, monoMs, wallMs, clock, kind = "telemetry", device = 1, data }) => {
    writer.begin(kind, device, wallMs, monoMs, clock);
    if (kind === "telemetry") {
      writer.count(1);
      writer.reading(10, seq, 3, 0, undefined, -40);
    } else writer.object(data ?? {});
    return { seq, recordedMs: wallMs + 500, body: Buffer.from(writer.bytes()) };
  });
  const header = { city, gateway, epoch, lane: "live" as const, dictionary };
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
});

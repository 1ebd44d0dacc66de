import { clockDoubt } from "../clock.ts";
import { EventReader, EventWriter, tag, type DictionaryDevice } from "../event.ts";
import { gap } from "../gaps.ts";
import type { RegisterDevice } from "./dictionaries.ts";
import { frameHeadBytes, FrameStreams, writeFrame } from "./frames.ts";
import type { ToWorker } from "./outbox.ts";
import { urgentEvent } from "./own-events.ts";
import { PendingEvents } from "./pending.ts";

/** Below what the outbox keeps of events that wait for their commit, to which these go. */
const bytesMax = 24 * 1024 * 1024;
/** Indexes of the file never get as far. */
const firstIndex = 2 ** 30;

type Frames = ToWorker & { type: "frames" };
type OwnEvent = ToWorker & { type: "event" };

/**
 * Events of a start whose outbox cannot be opened yet, in memory: under indexes of their own, because those of the
 * file are not known. Bounded: the oldest telemetry goes first, and is counted.
 */
export class Early {
  readonly #pending = new PendingEvents(bytesMax);
  readonly #streams = new FrameStreams();
  #devices: DictionaryDevice[] = [];

  /** Gives indexes for the time being. */
  register(devices: readonly RegisterDevice[]): DictionaryDevice[] {
    let next = firstIndex;
    this.#devices = devices.map((device, i) => ({
      ...device,
      index: firstIndex + i,
      points: device.points.map((point) => ({ ...point, index: next++ })),
    }));
    return this.#devices;
  }

  /** Events that are kept. */
  get count(): number {
    return this.#pending.length;
  }

  /** Those whose events are kept. */
  get devices(): readonly RegisterDevice[] {
    return this.#devices;
  }

  /**
   * Whether the message is kept here: frames, and events under an index for the time being. Throws a RangeError when
   * bytes are not frames.
   */
  takes(message: ToWorker): message is Frames | OwnEvent {
    if (this.#devices.length === 0) return false;
    if (message.type === "event" && message.device >= firstIndex) {
      const { kind, device, data } = message;
      this.#pending.push({ ...urgentEvent(kind, device, data), size: 0, stream: 0, source: "0" });
    } else if (message.type === "frames") this.#takeFrames(message);
    else return false;
    return true;
  }

  #takeFrames({ stream, source = String(stream), bytes }: Frames): void {
    for (const frame of this.#streams.push(stream, bytes)) this.#pending.push({ ...frame, stream, source });
  }

  /** All that was kept as the outbox takes it, under the indexes that its file has given; nothing is kept any more. */
  *adopt(registered: readonly DictionaryDevice[]): Iterable<ToWorker> {
    const { devices, points } = indexesOf(this.#devices, registered);
    this.#devices = [];
    const [reader, writer] = [new EventReader(), new EventWriter()];
    while (this.#pending.length > 0) {
      const batch = this.#pending.next(1000, bytesMax);
      this.#pending.done(batch);
      for (const { source, lane, body } of batch) {
        const own = translated(reader, writer, body, devices, points);
        const bytes = Buffer.alloc(own.length + frameHeadBytes);
        writeFrame(bytes, 0, lane, own);
        yield { type: "frames", stream: 0, source, bytes };
      }
    }
    const overflow = this.#pending.takeOverflow();
    const gateway = registered.find(({ type }) => type === "gateway");
    if (overflow === undefined || gateway === undefined) return;
    const { events, fromMs, toMs } = overflow;
    const data = gap("handover_overflow", fromMs, toMs, { lostCount: events });
    yield { type: "event", kind: "gap", device: gateway.index, data };
  }
}

/** From the indexes for the time being to those of the file. */
function indexesOf(
  early: readonly DictionaryDevice[],
  registered: readonly DictionaryDevice[],
): { devices: Map<number, number>; points: Map<number, number> } {
  const devices = new Map<number, number>();
  const points = new Map<number, number>();
  const byId = new Map(registered.map((device) => [device.id, device]));
  for (const device of early) {
    const real = byId.get(device.id);
    if (real === undefined) continue;
    devices.set(device.index, real.index);
    const byName = new Map(real.points.map(({ name, index }) => [name, index]));
    for (const { name, index } of device.points) points.set(index, byName.get(name) ?? index);
  }
  return { devices, points };
}

function translated(
  reader: EventReader,
  writer: EventWriter,
  body: Uint8Array,
  devices: ReadonlyMap<number, number>,
  points: ReadonlyMap<number, number>,
): Uint8Array {
  reader.open(body);
  const { kind, device, timeMs, monoMs } = reader;
  // Only the file knew that it was.
  const clock = reader.clock === "holdover" && clockDoubt().isWrong ? "unsynced" : reader.clock;
  writer.begin(kind, devices.get(device) ?? device, timeMs, monoMs, clock);
  if (kind !== "telemetry") writer.object(reader.object());
  else {
    writer.count(reader.count);
    while (reader.next()) {
      const decimals = reader.type >= tag.decimal ? reader.type - tag.decimal : 0;
      const index = points.get(reader.point) ?? reader.point;
      const { quality, detail, timeOffsetMs } = reader;
      writer.reading(index, reader.value(), decimals, quality, detail, timeOffsetMs);
    }
  }
  return writer.bytes();
}

import {
  EventReader,
  quality,
  type DictionaryDevice,
  type EventReading,
  type KerbEvent,
} from "../../gateway/event.ts";

/** What an event says, as one text: equal on both ends or altered on the way. */

type Told = Pick<KerbEvent, "kind" | "device" | "profile" | "timeMs" | "clock" | "readings" | "data">;

export function contentOf({ kind, device, profile = "", timeMs, clock, readings, data }: Told): string {
  const said = readings?.map((one) => [
    one.point,
    one.unit,
    one.value,
    one.quality,
    one.detail ?? 0,
    one.timeMs,
  ]);
  return JSON.stringify([kind, device, profile, timeMs, clock, said ?? 0, data ?? 0]);
}

const reader = new EventReader();

/** Opens an event as the host wrote it; `meaning` holds the devices of the host that wrote it. */
export function openBody(
  body: Uint8Array,
  meaning: { get(index: number): Pick<DictionaryDevice, "id" | "profile" | "points"> | undefined },
): Told {
  reader.open(body);
  const { kind, clock, timeMs } = reader;
  const device = meaning.get(reader.device);
  const told: Told = { kind, clock, timeMs, device: device?.id ?? "?", profile: device?.profile ?? "" };
  if (kind !== "telemetry") return { ...told, data: reader.object() };
  const unsynced = clock === "unsynced" ? quality.clockUnsynced : 0;
  const points = new Map(device?.points.map((point) => [point.index, point]));
  const readings: EventReading[] = [];
  while (reader.next()) {
    const point = points.get(reader.point);
    readings.push({
      point: point?.name ?? "?",
      unit: point?.unit ?? "?",
      value: reader.value(),
      quality: reader.quality | unsynced,
      ...(reader.detail === undefined ? {} : { detail: reader.detail }),
      timeMs: timeMs + reader.timeOffsetMs,
    });
  }
  return { ...told, readings };
}

import { clockState, monotonicMs } from "../clock.ts";
import { EventWriter, type EventKind } from "../event.ts";

/** An event that the gateway itself makes, of a device's dictionary index: urgent, with the times of now. */
export function urgentEvent(
  kind: EventKind,
  device: number,
  data: Record<string, unknown>,
): { lane: 0; body: Buffer } {
  const writer = new EventWriter();
  writer.begin(kind, device, Date.now(), monotonicMs(), clockState());
  writer.object(data);
  return { lane: 0, body: Buffer.from(writer.bytes()) };
}

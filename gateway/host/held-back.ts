import { clockState, monotonicMs } from "../clock.ts";
import { EventWriter } from "../event.ts";
import type { Handover } from "./handover.ts";
import type { HostDevice } from "./messages.ts";
import type { Normaliser } from "./normalise.ts";

const lookMs = 1000;
const writer = new EventWriter();

/**
 * The newest samples of one device, which its swinging doors keep back: where none may come after them, and when the
 * heartbeat is over, they leave with their own time, so that the last value told is the last one measured.
 */
export class HeldBack {
  readonly #device: HostDevice;
  readonly #handover: Handover;
  readonly #normalisers: () => readonly Normaliser[];
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(device: HostDevice, handover: Handover, normalisers: () => readonly Normaliser[]) {
    this.#device = device;
    this.#handover = handover;
    this.#normalisers = normalisers;
    if (device.points.some(({ swingingDoor }) => swingingDoor !== undefined))
      this.#timer = setInterval(() => this.release(true), lookMs).unref();
  }

  /** `isDue`: only those that have been kept back for a heartbeat. */
  release(isDue = false): void {
    if (this.#timer === undefined) return;
    for (const normaliser of this.#normalisers()) {
      const held = normaliser.release(isDue);
      if (held.length === 0) continue;
      const atMs = Math.max(...held.map(({ sample }) => sample.timeMs));
      const agoMs = performance.now() - atMs;
      const timeMs = Math.round(Date.now() - agoMs);
      writer.begin("telemetry", this.#device.index, timeMs, monotonicMs() - agoMs, clockState());
      normaliser.writeReleased(held, writer, atMs);
      this.#handover.push(1, writer.bytes());
    }
  }

  end(): void {
    clearInterval(this.#timer);
    this.release();
  }
}

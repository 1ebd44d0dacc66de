import type { WirePlace } from "../driver.ts";
import { cassetteLimits, type Frame } from "./cassette.ts";

/** What a tap keeps, up to its limits; beyond them everything is still handed on. */
export class Tape {
  readonly connections: Frame[][] = [];
  /** Which limit ended it; undefined: none. */
  full: "bytes" | "frames" | "connections" | "records" | undefined;
  /** What was handed on and not kept, because it would fill the tape. */
  readonly skipped = new Set<string>();
  /** Texts by which this one device is known, where its driver knows them. */
  readonly names = new Set<string>();
  /** How often the device has told something by itself, where that can be told from an answer. */
  news = 0;
  #newsMs = -Infinity;
  #isStopped = false;
  #bytes = 0;
  #frames = 0;
  readonly #startedMs = performance.now();

  connection(): Frame[] {
    const frames: Frame[] = [];
    if (this.connections.length >= cassetteLimits.connectionsMax) this.end("connections");
    else this.connections.push(frames);
    return frames;
  }

  /** Nothing that comes from now on is kept, because there is no room. */
  end(limit: NonNullable<Tape["full"]>): void {
    this.full ??= limit;
  }

  /** Nothing that comes from now on is kept, because all is on it. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Is kept what comes now? */
  get isKeeping(): boolean {
    return this.full === undefined && !this.#isStopped;
  }

  told(): void {
    this.news++;
    this.#newsMs = performance.now();
  }

  /** How long the device has told nothing by itself. */
  calmMs(): number {
    return performance.now() - this.#newsMs;
  }

  keep(frames: Frame[], from: Frame["from"], chunk: Uint8Array): void {
    if (this.#isStopped) return;
    if (this.#bytes + chunk.length > cassetteLimits.bytesMax) this.end("bytes");
    if (this.#frames >= cassetteLimits.framesMax) this.end("frames");
    if (this.full !== undefined) return;
    this.#bytes += chunk.length;
    this.#frames++;
    const ms = Math.round(performance.now() - this.#startedMs);
    frames.push({ ms, from, bytes: Buffer.from(chunk), hidden: new Uint8Array(chunk.length) });
  }
}

/** Who stands between a driver and its device. */
export interface Tap {
  /** Where the driver finds its device, or is called by it; undefined: where it is, for nobody stands in between. */
  readonly place: WirePlace | undefined;
  readonly tape: Tape;
  /** Settles when a device that calls has called. */
  readonly called?: Promise<void>;
  /** Why the device could not be reached, where the driver cannot see that from behind the tap. */
  readonly failure?: Error | undefined;
  close(): Promise<void>;
}

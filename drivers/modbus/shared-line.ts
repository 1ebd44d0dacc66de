import { DeviceError } from "../../gateway/driver.ts";
import type { Batch } from "./batch.ts";
import { frameRtu } from "./codec.ts";
import { hungUp, Line, lineKey, reasonOf, type LineTransport } from "./line.ts";
import { aborted, closed, type Link } from "./link.ts";

/** All open lines of this process, and those whose last request may still be answered late. */
const lines = new Map<string, Line>();

/** One unit on a shared line. */
class LineLink implements Link {
  readonly framing = frameRtu;
  readonly inFlightMax = 1;
  readonly #line: Line;
  readonly #timeoutMs: number;
  readonly #place: string;
  #generation: number;
  #stop: AbortController | undefined;
  #closed = false;

  constructor(line: Line, timeoutMs: number, place: string) {
    this.#line = line;
    this.#timeoutMs = timeoutMs;
    this.#place = place;
    this.#generation = line.generation;
  }

  get isEchoed(): boolean | undefined {
    return this.#line.isEchoed;
  }

  async open(signal: AbortSignal): Promise<void> {
    await this.#stoppable(signal, (stop) => this.#line.open(this.#timeoutMs, stop));
    this.#generation = this.#line.generation;
  }

  async run(batch: Batch, signal: AbortSignal): Promise<void> {
    if (this.#closed) throw closed(this.#place);
    if (this.#generation !== this.#line.generation) {
      this.#generation = this.#line.generation;
      throw hungUp(this.#line.place);
    }
    await this.#stoppable(signal, (stop) => this.#line.run(batch, this.#timeoutMs, stop)).catch(
      (error: unknown) => {
        // This call has told of the loss; the next one may open the line again.
        this.#generation = this.#line.generation;
        throw error;
      },
    );
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop?.abort(closed(this.#place));
    await release(this.#line);
  }

  async #stoppable(signal: AbortSignal, call: (stop: AbortSignal) => Promise<void>): Promise<void> {
    if (signal.aborted) throw aborted(this.#place);
    const stop = new AbortController();
    const onAbort = () => stop.abort(aborted(this.#place));
    signal.addEventListener("abort", onAbort);
    this.#stop = stop;
    try {
      await call(stop.signal);
    } catch (error) {
      throw stop.signal.aborted ? reasonOf(stop.signal) : error;
    } finally {
      this.#stop = undefined;
      signal.removeEventListener("abort", onAbort);
    }
  }
}

/**
 * Joins a line, which the first user opens and the last one closes. Rejects as `openSerial` and `openSocket` do,
 * and with `busy` when the line is open with other parameters.
 */
export async function joinLine(
  transport: LineTransport,
  timeoutMs: number,
  place: string,
  signal: AbortSignal,
): Promise<Link> {
  const key = lineKey(transport);
  for (const [otherKey, other] of lines) {
    if (other.users === 0 && !other.isQuarantined) lines.delete(otherKey);
  }
  const line = lines.get(key) ?? new Line(transport);
  if (line.users === 0) line.transport = transport;
  if (JSON.stringify(line.transport) !== JSON.stringify(transport)) {
    throw new DeviceError("busy", `${place}: the port is open with another baud rate or parity`);
  }
  lines.set(key, line);
  line.users++;
  const link = new LineLink(line, timeoutMs, place);
  try {
    await link.open(signal);
  } catch (error) {
    await link.close();
    throw error;
  }
  return link;
}

async function release(line: Line): Promise<void> {
  line.users--;
  if (line.users === 0) await line.close();
}

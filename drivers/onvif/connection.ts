import {
  DeviceError,
  type Answer,
  type Browsed,
  type BrowseRequest,
  type Connection,
  type Identity,
  type LeftOut,
  type PointRequest,
  type ReadOptions,
  type ReadResult,
  type Snapshot,
  type Subscription,
} from "../../gateway/driver.ts";
import { lostBy, type Camera } from "./camera.ts";
import { belongs, instanceOf, valueIn, type Notification } from "./events.ts";
import { pullOn } from "./listening.ts";
import type { PullPoint } from "./pull-point.ts";
import { Readings } from "./readings.ts";
import type { Address } from "./settings.ts";
import { SoapFault, textAt } from "./soap.ts";

const pictureBytesMax = 4 * 1024 * 1024;

/** One camera. See `Connection` in the driver contract. */
export class OnvifConnection implements Connection<Address> {
  readonly #camera: Camera;
  readonly #readings: Readings;
  readonly #closing = new AbortController();
  readonly #own = new Set<PullPoint>();
  #closed: Promise<void> | undefined;

  constructor(camera: Camera) {
    this.#camera = camera;
    this.#readings = new Readings(camera);
  }

  async identify(signal: AbortSignal): Promise<Identity> {
    return this.#run("GetDeviceInformation", signal, async (inner) => {
      const body = await this.#camera.call("device", "GetDeviceInformation", "", { signal: inner });
      const told = (name: string): string | undefined =>
        textAt(body, "GetDeviceInformationResponse", name)?.slice(0, 200) || undefined;
      const [vendor, model, firmware, serial, hardware] = [
        told("Manufacturer"),
        told("Model"),
        told("FirmwareVersion"),
        told("SerialNumber"),
        told("HardwareId"),
      ];
      return {
        ...(vendor === undefined ? {} : { vendor }),
        ...(model === undefined ? {} : { model }),
        ...(firmware === undefined ? {} : { firmware }),
        ...(serial === undefined ? {} : { serial }),
        ...(hardware === undefined ? {} : { more: { HardwareId: hardware } }),
      };
    });
  }

  async read(points: readonly PointRequest<Address>[], options: ReadOptions): Promise<ReadResult> {
    return this.#run("read", options.signal, async (signal) => {
      const { answers, atMs } = await this.#readings.read(points, signal);
      return { answers: options.raw === true ? answers.map(withBytes) : answers, atMs };
    });
  }

  async subscribe({ points, records, sink, signal }: Subscription<Address>): Promise<void> {
    const hear = (notifications: readonly Notification[]): void => {
      if (signal.aborted) return;
      sink.alive();
      for (const one of notifications) {
        const timed = one.timeMs === undefined ? {} : { sourceTimeMs: one.timeMs };
        const instance = instanceOf(one);
        records.forEach(({ address, fields }, index) => {
          if (!belongs(one, address)) return;
          const answers = fields.map((field) => valueIn(one, field.address));
          sink.record(index, answers, { phase: one.phase, instance, ...timed });
        });
        const values = points.flatMap(({ address }, index) => {
          const answer = belongs(one, address) ? stateIn(one, address) : undefined;
          return answer === undefined ? [] : [{ index, answer: { ...reading(answer), ...timed } }];
        });
        if (values.length > 0) sink.readings(values);
      }
    };
    try {
      await this.#run("subscribe", signal, (inner) => pullOn(this.#camera, this.#own, hear, inner));
    } catch (error) {
      if (!signal.aborted || (error instanceof DeviceError && error.code === "closed")) throw error;
    }
  }

  async snapshot(signal: AbortSignal): Promise<Snapshot> {
    return this.#run("snapshot", signal, async (inner) => {
      const place = await this.#readings.snapshotPlace(inner);
      const picture = await this.#camera.get(place, pictureBytesMax, inner);
      // A page with words about a login is no picture, whatever its status.
      if (!isPicture(picture)) throw new DeviceError("garbage", `${this.#camera.place}: no picture`);
      return picture;
    });
  }

  async *browse({ under, entriesMax, untilMs, signal }: BrowseRequest): AsyncGenerator<Browsed | LeftOut> {
    const { place } = this.#camera;
    if (under !== undefined)
      throw new DeviceError("rejected", `${place}: a camera is listed as a whole, without "under"`);
    const isLate = () => performance.now() >= untilMs;
    if (isLate()) {
      yield { left: "time" };
      return;
    }
    const { topicsOf, valuesOf } = await import("./browse.ts");
    const values = await this.#run("browse", signal, (inner) => valuesOf(this.#readings, inner));
    yield* values.slice(0, entriesMax);
    if (isLate()) {
      yield { left: "time" };
      return;
    }
    const told = await this.#run("browse", signal, (inner) => topicsOf(this.#camera, inner));
    const topics = told.filter((one): one is Browsed => !("left" in one));
    const room = Math.max(0, entriesMax - values.length);
    yield* topics.slice(0, room);
    const more = values.length + topics.length - entriesMax;
    if (more > 0) yield { left: "limit", entries: more };
    yield* told.filter((one) => "left" in one);
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  /** Whatever runs ends first; then the camera gets its subscription back, of which it has few. */
  async #end(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#own].map((one) => one.unsubscribe(new AbortController().signal)));
    this.#own.clear();
  }

  /** Runs `work` under the caller's signal and until the connection is closed. */
  async #run<Result>(
    what: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const { place } = this.#camera;
    const closing = this.#closing.signal;
    if (closing.aborted) throw new DeviceError("closed", `${place}: the connection is closed`);
    try {
      return await work(AbortSignal.any([signal, closing]));
    } catch (error) {
      if (closing.aborted) throw new DeviceError("closed", `${place}: the connection was closed`);
      if (
        error instanceof SoapFault &&
        what === "GetDeviceInformation" &&
        error.code === "ActionNotSupported"
      )
        throw new DeviceError("unsupported", `${place}: ${error.message}`);
      throw lostBy(error, place, what);
    }
  }
}

function reading(answer: Answer) {
  return typeof answer === "object" ? answer : { value: answer, status: "good" as const };
}

/** A property that the camera has deleted has no value any more. */
function stateIn(one: Notification, address: Address): Answer | undefined {
  if (one.phase === "deleted")
    return { value: null, status: "bad", code: "deleted", reason: "the camera has deleted this property" };
  return valueIn(one, address);
}

function withBytes(answer: Answer): Answer {
  const whole = reading(answer);
  return whole.value === null ? whole : { ...whole, raw: Buffer.from(String(whole.value)) };
}

/** JPEG, PNG or what says that it is an image. */
function isPicture({ type, bytes }: Snapshot): boolean {
  const head = Buffer.from(bytes.subarray(0, 4)).toString("hex");
  return bytes.length > 0 && (head.startsWith("ffd8") || head === "89504e47" || /^image\//i.test(type));
}

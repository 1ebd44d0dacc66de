import {
  DeviceError,
  type Connection,
  type DriverContext,
  type Identity,
  type PointRequest,
  type ReadResult,
  type Subscription,
  type Value,
} from "../../gateway/driver.ts";
import type { Broker, Message } from "./broker.ts";
import { Availability } from "./availability.ts";
import type { Held } from "./custody.ts";
import { topicOf } from "./formats.ts";
import { identify } from "./identify.ts";
import { Ingest } from "./ingest.ts";
import { objectWith, parsePath } from "./json-path.ts";
import { shortTopic } from "./payload.ts";
import { forgetTold } from "./repeats.ts";
import type { Address, Settings } from "./settings.ts";
import { listenToSparkplug } from "./sparkplug-ingest.ts";

/** One device behind a broker. See `Connection` in the driver contract. */
export class MqttConnection implements Connection<Address> {
  readonly #broker: Broker;
  readonly #settings: Settings;
  readonly #context: DriverContext;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(broker: Broker, settings: Settings, context: DriverContext) {
    this.#broker = broker;
    this.#settings = settings;
    this.#context = context;
  }

  identify(signal: AbortSignal): Promise<Identity> {
    return this.#call(signal, () => identify(this.#broker, this.#settings));
  }

  read(): Promise<ReadResult> {
    const { place } = this.#broker;
    return Promise.reject(
      this.#closing.signal.aborted
        ? closed(place)
        : new DeviceError("unsupported", `${place}: a device behind a broker tells by itself`),
    );
  }

  async subscribe(subscription: Subscription<Address>): Promise<void> {
    if (subscription.signal.aborted) return;
    await this.#call(subscription.signal, (signal) => this.#listen(subscription, signal)).catch(
      (error: unknown) => {
        // The end that the host wanted is none.
        if (!(error instanceof DeviceError && error.code === "aborted")) throw error;
      },
    );
  }

  async #listen(subscription: Subscription<Address>, signal: AbortSignal): Promise<never> {
    const over = Promise.withResolvers<never>();
    over.promise.catch(() => {});
    const stops: (() => void)[] = [];
    const stopAll = (): void => stops.splice(0).forEach((stop) => stop());
    // At once, so that nothing more is handed on.
    const giveUp = (): void => {
      stopAll();
      over.reject(aborted(this.#broker.place));
    };
    signal.addEventListener("abort", giveUp);
    const granted: Promise<unknown>[] = [];
    const { qos } = this.#settings;
    const held = this.#heldBy(subscription);
    const owner = this.#context.deviceId;
    const lost = (error: DeviceError): void => {
      stopAll();
      over.reject(error);
    };
    const listen = (filter: string, listener: (message: Message) => void): void => {
      const guarded = guard(listener, this.#broker.place, lost);
      const listening = this.#broker.listen(filter, guarded, { qos, signal, held, owner });
      stops.push(listening.stop);
      granted.push(listening.granted);
    };
    stops.push(this.#broker.onLost(lost));
    let ingest: Ingest | undefined;
    try {
      if (this.#settings.format === "sparkplug-b") {
        const listening = await listenToSparkplug(this.#broker, this.#settings, subscription, lost);
        stops.push(listening.stop);
        granted.push(listening.granted);
        if (signal.aborted) throw aborted(this.#broker.place);
      } else {
        const taking = (ingest = new Ingest(this.#settings, subscription, this.#context, lost));
        stops.push(() => taking.stop());
        for (const filter of taking.routes.keys()) listen(filter, (message) => taking.take(filter, message));
      }
      const alive = (): void => subscription.sink.alive();
      const { rules } = new Availability(this.#settings, this.#context.deviceId, { alive, lost });
      for (const { filter, take } of rules) listen(filter, take);
      await Promise.race([Promise.all(granted), over.promise]);
      ingest?.granted();
      return await over.promise;
    } finally {
      signal.removeEventListener("abort", giveUp);
      stopAll();
      for (const promise of granted) promise.catch(() => {});
    }
  }

  #heldBy({ sink }: Subscription<Address>): Held | undefined {
    if (sink.held === undefined) return undefined;
    return async (isPressing) => {
      const isHeld = await sink.held!(isPressing);
      if (!isHeld) forgetTold(this.#context.deviceId);
      return isHeld;
    };
  }

  async write({ name, address }: PointRequest<Address>, value: Value, signal: AbortSignal): Promise<void> {
    const command = commandOf(address, this.#settings, value);
    if (command === undefined)
      throw new DeviceError("unsupported", `${this.#broker.place}: nobody says how ${name} is written`);
    await this.#call(signal, (inner) => this.#broker.publish(command.topic, command.payload, inner));
  }

  close(): Promise<void> {
    this.#closing.abort();
    return (this.#closed ??= this.#broker.leave());
  }

  /** Runs `work` until the caller or a close ends it. */
  async #call<Result>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const { place } = this.#broker;
    const closing = this.#closing.signal;
    if (closing.aborted) throw closed(place);
    if (signal.aborted) throw aborted(place);
    const ended = Promise.withResolvers<never>();
    ended.promise.catch(() => {});
    const inner = new AbortController();
    const giveUp = () => {
      inner.abort();
      ended.reject(closing.aborted ? closed(place) : aborted(place));
    };
    signal.addEventListener("abort", giveUp);
    closing.addEventListener("abort", giveUp);
    const done = work(inner.signal);
    done.catch(() => {});
    try {
      return await Promise.race([done, ended.promise]);
    } finally {
      signal.removeEventListener("abort", giveUp);
      closing.removeEventListener("abort", giveUp);
      inner.abort();
    }
  }
}

/** What one device sends may cost that device, and nobody else. */
function guard(
  listener: (message: Message) => void,
  place: string,
  lost: (error: DeviceError) => void,
): (message: Message) => void {
  return (message) => {
    try {
      listener(message);
    } catch (error) {
      const text = `${place}: ${shortTopic(message.topic)} cannot be taken: ${String(error)}`;
      lost(new DeviceError("garbage", text, { cause: error }));
    }
  };
}

function aborted(place: string): DeviceError {
  return new DeviceError("aborted", `${place}: given up by the caller`);
}

function closed(place: string): DeviceError {
  return new DeviceError("closed", `${place}: the connection is closed`);
}

/** What is published to set a value; undefined where the profile does not say. */
function commandOf(
  { write, path, isTrue, isFalse }: Address,
  settings: Settings,
  value: Value,
): { topic: string; payload: string } | undefined {
  if (write === undefined) return undefined;
  const template = write.topic ?? (settings.format === "zigbee2mqtt" ? "{base}/{name}/set" : undefined);
  const filled = template === undefined ? undefined : topicOf(template, settings);
  if (filled === undefined || "missing" in filled) return undefined;
  const shown = value === true ? (isTrue ?? true) : value === false ? (isFalse ?? false) : value;
  const plain = typeof shown === "bigint" ? Number(shown) : shown;
  const made = objectWith(parsePath(write.path ?? path) ?? [], plain);
  return made === undefined ? undefined : { topic: filled.topic, payload: JSON.stringify(made) };
}

import type { Varbind } from "net-snmp";
import {
  DeviceError,
  type Browsed,
  type BrowseRequest,
  type Connection,
  type DriverContext,
  type Identity,
  type LeftOut,
  type PointRequest,
  type ReadOptions,
  type ReadResult,
  type Subscription,
  type Value,
} from "../../gateway/driver.ts";
import type { Client } from "./client.ts";
import { aborted, closed, halfDone, Refusal } from "./errors.ts";
import { Fetcher } from "./fetch.ts";
import { identify } from "./identify.ts";
import { listen } from "./notifications.ts";
import { Plan } from "./plan.ts";
import type { Address, Settings } from "./settings.ts";
import { SignWriter } from "./sign.ts";
import { exceptionOf, types } from "./values.ts";

type Points = readonly PointRequest<Address>[];

/**
 * With what lies there a controller's phases would be driven: kerb never writes it, whatever a profile says. NTCIP
 * 1202 asc (phases, detectors, overlaps, preemption, rings and their timing); UG405 utcControlTable.
 */
const neverWritten = ["1.3.6.1.4.1.1206.4.2.1.", "1.3.6.1.4.1.13267.3.2.4.2."];
/** What asks the controller for a plan: NTCIP 1202 systemPatternControl, systemSyncControl. */
const planRequests = ["1.3.6.1.4.1.1206.4.2.1.4.14.0", "1.3.6.1.4.1.1206.4.2.1.4.15.0"];
/** These show a part or a meaning of an object, and a write sends the whole of it. */
const readOnlyTypes = ["bits", "stage", "bcd"];

/** One SNMP device. See `Connection` in the driver contract. */
export class SnmpConnection implements Connection<Address> {
  readonly #client: Client;
  readonly #settings: Settings;
  readonly #context: DriverContext;
  readonly #fetcher: Fetcher;
  readonly #plans = new WeakMap<Points, Plan>();
  readonly #closing = new AbortController();
  #row: string | undefined;
  #isClosed = false;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(client: Client, settings: Settings, context: DriverContext) {
    this.#client = client;
    this.#settings = settings;
    this.#context = context;
    this.#fetcher = new Fetcher(client, settings.maxOidsPerPdu);
    this.#row = rowOf(settings.row);
  }

  identify(signal: AbortSignal): Promise<Identity> {
    return this.#inTurn(signal, () => identify(this.#fetcher, this.#settings, this.#client.place, signal));
  }

  read(points: Points, { signal, raw = false }: ReadOptions): Promise<ReadResult> {
    return this.#inTurn(signal, async () => {
      let plan = this.#planFor(points);
      if (plan.needsRow) {
        await this.#findRow(signal);
        plan = this.#planFor(points);
      }
      plan.begin();
      const { found, rows, requests } = await this.#fetcher.fetch(plan.oids, plan.walks, signal);
      const torn = requests > 1 ? plan.torn(found) : [];
      if (torn.length > 0) {
        const again = await this.#fetcher.fetch(torn, [], signal);
        for (const [oid, fetched] of again.found) found.set(oid, fetched);
      }
      return plan.result(found, rows, requests, raw);
    });
  }

  write(point: PointRequest<Address>, value: Value, signal: AbortSignal): Promise<void> {
    return this.#inTurn(signal, async () => {
      const { address, name } = point;
      const { place } = this.#client;
      if (address.sign !== undefined) {
        await this.#signWriter(signal).show(String(value));
        return;
      }
      const oid = this.#row === undefined ? address.oid : address.oid?.replace("{row}", this.#row);
      const isWritable =
        oid !== undefined &&
        !oid.includes("{row}") &&
        !readOnlyTypes.includes(address.type) &&
        !drivesPhases(oid);
      if (!isWritable) throw new DeviceError("unsupported", `${place}: ${name} is not for writing`);
      try {
        await this.#client.set({ oid, ...encoded(address, value, `${place}: ${name}`) }, signal);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        throw new DeviceError(
          halfDone.includes(error.status) ? "garbage" : "rejected",
          `${place}: ${name} = ${String(value).slice(0, 40)}: ${error.message}`,
        );
      }
    });
  }

  async subscribe(subscription: Subscription<Address>): Promise<void> {
    const { points, sink, signal } = subscription;
    if (this.#isClosed) throw closed(this.#client.place);
    // Objects do not tell their changes by themselves; only records are told.
    points.forEach((_, index) => sink.poll(index));
    const both = AbortSignal.any([signal, this.#closing.signal]);
    await listen({ ...subscription, signal: both }, this.#settings, this.#client, this.#context);
    if (this.#isClosed && !signal.aborted) throw closed(this.#client.place);
  }

  async *browse(request: BrowseRequest): AsyncGenerator<Browsed | LeftOut> {
    // Nobody who only polls pays for it.
    const { browse } = await import("./browse.ts");
    const { signal } = request;
    yield* browse(this.#settings, this.#client.place, request, {
      following: (oid, count) => this.#inTurn(signal, () => this.#client.following(oid, count, signal)),
      get: (oid) => this.#inTurn(signal, () => this.#client.get([oid], signal)),
    });
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#closing.abort();
    this.#client.close();
    return Promise.resolve();
  }

  #signWriter(signal: AbortSignal): SignWriter {
    const { peer, place } = this.#client;
    const link = {
      place,
      fetcher: this.#fetcher,
      set: (varbind: Varbind) => this.#client.set(varbind, signal),
      source: peer.ownAddress(),
      log: (text: string) => this.#context.log("info", text),
    };
    return new SignWriter(link, this.#settings.sign, signal);
  }

  /** Calls never overlap; should they all the same, they wait for each other: they share the session. */
  async #inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    try {
      await before;
      if (this.#isClosed) throw closed(this.#client.place);
      if (signal.aborted) throw aborted(this.#client.place);
      return await work();
    } catch (error) {
      if (this.#isClosed && error instanceof DeviceError && error.code !== "aborted")
        throw closed(this.#client.place);
      throw error;
    } finally {
      resolve();
    }
  }

  #planFor(points: Points): Plan {
    const known = this.#plans.get(points);
    if (known !== undefined && known.row === this.#row) return known;
    const plan = new Plan(points, this.#settings, this.#row);
    this.#plans.set(points, plan);
    return plan;
  }

  /** The row of the device in its tables is the end of the first OID behind a column. */
  async #findRow(signal: AbortSignal): Promise<void> {
    const { rowColumn } = this.#settings;
    if (rowColumn === undefined) return;
    try {
      const [first] = await this.#client.next(rowColumn, signal);
      if (first !== undefined && exceptionOf(first) === undefined && first.oid.startsWith(`${rowColumn}.`))
        this.#row = first.oid.slice(rowColumn.length + 1);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }
}

/** "scn:11011" as UG405 outstations write it: row 1, the length, the characters. */
function rowOf(row: string | undefined): string | undefined {
  if (row === undefined || !row.startsWith("scn:")) return row;
  const octets = [...Buffer.from(row.slice("scn:".length), "latin1")];
  return [1, octets.length, ...octets].join(".");
}

function drivesPhases(oid: string): boolean {
  return neverWritten.some((root) => oid.startsWith(root)) && !planRequests.includes(oid);
}

function encoded(address: Address, value: Value, what: string): Omit<Varbind, "oid"> {
  const refuse = (): DeviceError =>
    new DeviceError("rejected", `${what}: ${String(value).slice(0, 40)} is no ${syntax}`);
  const syntax = address.syntax ?? (address.type === "text" || address.type === "hex" ? "octets" : "integer");
  const whole = (type: number | undefined, low: number, high: number): Omit<Varbind, "oid"> => {
    const number = typeof value === "boolean" ? Number(value) : Number(value);
    if (!Number.isInteger(number) || number < low || number > high) throw refuse();
    return { type: type ?? 2, value: number };
  };
  switch (syntax) {
    case "integer":
      return whole(types.integer, -(2 ** 31), 2 ** 31 - 1);
    case "gauge":
      return whole(types.gauge, 0, 2 ** 32 - 1);
    case "counter":
      return whole(types.counter, 0, 2 ** 32 - 1);
    case "ticks":
      return whole(types.ticks, 0, 2 ** 32 - 1);
    case "octets": {
      const text = String(value);
      if (address.type === "hex" && !/^([0-9a-f]{2})*$/i.test(text)) throw refuse();
      return { type: types.octets ?? 4, value: Buffer.from(text, address.type === "hex" ? "hex" : "utf8") };
    }
    case "ip":
      if (!/^(\d{1,3}\.){3}\d{1,3}$/.test(String(value))) throw refuse();
      return { type: types.ip ?? 64, value: String(value) };
    case "oid":
      if (!/^[0-2](\.\d+)+$/.test(String(value))) throw refuse();
      return { type: types.oid ?? 6, value: String(value) };
    default:
      throw new DeviceError("unsupported", `${what}: kerb does not write ${syntax}`);
  }
}

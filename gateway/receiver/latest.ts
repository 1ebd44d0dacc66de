import { performance } from "node:perf_hooks";
import type { DictionaryDevice, EventReading } from "../event.ts";
import type { Dictionary } from "../uplink/encoding.ts";
import type { Archive } from "./archive.ts";
import { CommandRecord } from "./commands/record.ts";
import {
  acceptedLast,
  applyEvent,
  correctTimes,
  emptyState,
  type DeviceState,
  type KnownDevice,
} from "./device-state.ts";
import { parseBirth } from "./messages.ts";
import type { BatchRow, Columns, Store } from "./store.ts";
import { TwinRecord } from "./twin/record.ts";

/** A device with its newest values. */
export interface LatestDevice {
  known: KnownDevice;
  state: DeviceState;
}

/** The newest reading of one point of one device, with the event that carried it. */
export interface LatestValue extends EventReading {
  device: string;
  epoch: number;
  seq: number;
}

/** Batches of one step; work of one turn in the background, ms, and the pauses: custody comes first. */
const stepBatches = 32;
const turnMs = 20;
const pauseMs = 80;
const idleMs = 2000;
/** Longest that a look at the newest values first reads what was stored. */
const lookMs = 100;
/** Batches that wait for a dictionary; beyond it the view does without the oldest. */
const waitingMax = 10_000;
/** Of those as many are read at once, the newest first. */
const waitingOnceMax = 256;
/** Jumps of a clock that one batch may tell of, the newest. */
const stepsMax = 32;
const devicesMax = 2000;
const devicesStep = 100;
const valuesMax = 50_000;

/**
 * The newest values of each device, kept beside the stored batches and made of nothing else: it follows them in
 * steps, so it survives restarts, never stands in the way of custody, and can be thrown away.
 */
export class Latest {
  readonly commands: CommandRecord;
  readonly twins: TwinRecord;
  readonly #store: Store;
  readonly #archive: Archive;
  readonly #online: (gateway: string) => boolean | undefined;
  /** Gateways whose dictionaries came since the last step. */
  readonly #came = new Set<string>();
  /** The dictionaries in force, kept for one transaction or one answer. */
  readonly #inForce = new Map<string, Dictionary | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(store: Store, archive: Archive, online: (gateway: string) => boolean | undefined) {
    this.#store = store;
    this.commands = new CommandRecord(store);
    this.twins = new TwinRecord(store);
    this.#archive = archive;
    this.#online = online;
    this.#follow(idleMs);
    for (const { gw } of store.all("SELECT DISTINCT gw FROM latest_waiting")) this.#came.add(gw as string);
  }

  /** Something was stored, these dictionaries among it: the view follows soon. */
  committed(dictionaries: readonly { gateway: string }[]): void {
    for (const { gateway } of dictionaries) this.#came.add(gateway);
    this.#follow(idleMs);
  }

  #follow(dueMs: number): void {
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#turn(), dueMs);
    this.#timer.unref();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.commands.close();
    this.twins.close();
  }

  /** What came beside the events, and may be anything. */
  answer(gateway: string, payload: Uint8Array, about: "command" | "twin"): void {
    if (about === "twin") this.twins.take(gateway, payload);
    else this.commands.answer(gateway, payload);
  }

  #turn(): void {
    this.#timer = undefined;
    let behind = false;
    try {
      behind = !this.catchUp(turnMs);
    } catch {
      // The receiver tells of a database that refuses; the view comes again with the next commit.
    }
    if (behind) this.#follow(pauseMs);
  }

  /** Takes stored batches into the view for about so long; true when it has them all. */
  catchUp(budgetMs = lookMs): boolean {
    const untilMs = performance.now() + budgetMs;
    do {
      const [came] = this.#came;
      if (came === undefined && !this.#step()) return true;
      if (came !== undefined && !this.#dictionaryCame(came)) this.#came.delete(came);
    } while (performance.now() < untilMs);
    return false;
  }

  /** Batches that waited for a dictionary are read again, classes may be others now. True: there are more of them. */
  #dictionaryCame(gateway: string): boolean {
    let taken = 0;
    this.#store.transaction(() => {
      const sql = "SELECT batch FROM latest_waiting WHERE gw = ? ORDER BY batch DESC LIMIT ?";
      const waiting = this.#store.all(sql, gateway, waitingOnceMax);
      const changed = new Map<string, DeviceState>();
      const news = new Set<string>();
      for (const { batch: id } of waiting) {
        const batch = this.#store.batchesAfter((id as number) - 1, 1)[0];
        if (batch !== undefined && batch.id === id && !this.#take(batch.row, changed, news)) continue;
        taken++;
        this.#store.run("DELETE FROM latest_waiting WHERE batch = ?", id);
      }
      for (const { device, state } of this.#rows("gw = ? AND device > ?", [gateway, ""], devicesMax))
        if (!changed.has(`${gateway}\n${device}`)) changed.set(`${gateway}\n${device}`, state);
      this.#correct(news, changed);
      this.#put(changed);
    });
    return taken === waitingOnceMax;
  }

  /** The last batch in the view. */
  get #cursor(): number {
    return (this.#store.all("SELECT batch FROM latest_cursor")[0]?.["batch"] ?? 0) as number;
  }

  /** One transaction of a few batches; false when there are none left. */
  #step(): boolean {
    const batches = this.#store.batchesAfter(this.#cursor, stepBatches);
    if (batches.length === 0) return false;
    const untilMs = performance.now() + turnMs;
    let taken = 0;
    this.#store.transaction(() => {
      const changed = new Map<string, DeviceState>();
      const news = new Set<string>();
      for (const { id, row } of batches) {
        if (!this.#take(row, changed, news))
          this.#store.run("INSERT OR IGNORE INTO latest_waiting VALUES (?, ?)", id, row.gateway);
        taken++;
        if (news.size > 0 && performance.now() > untilMs) break;
      }
      this.#correct(news, changed);
      this.#put(changed);
      this.#store.run("INSERT OR REPLACE INTO latest_cursor VALUES (1, ?)", batches[taken - 1]?.id);
      const surplus = "SELECT batch FROM latest_waiting ORDER BY batch DESC LIMIT -1 OFFSET ?";
      this.#store.run(`DELETE FROM latest_waiting WHERE batch IN (${surplus})`, waitingMax);
    });
    return taken < batches.length || taken === stepBatches;
  }

  /** False: the batch cannot be read yet. `news`: gateways whose clocks were set, as is told now. */
  #take(row: BatchRow, changed: Map<string, DeviceState>, news: Set<string>): boolean {
    const events = this.#archive.decode(row);
    if (typeof events === "string") return false;
    const { clockSteps } = this.#archive;
    for (const step of events.filter(({ data }) => data?.["cause"] === "clock_step").slice(-stepsMax))
      if (clockSteps.take(step, row.receivedMs)) news.add(step.gateway);
    for (const event of events) {
      try {
        this.commands.event(event, row.receivedMs);
      } catch {
        // As below: what one gateway tells never stops the view for the others.
      }
      if (event.device === "" || event.device === event.gateway) continue;
      const { gateway, epoch, monoMs } = event;
      const key = `${gateway}\n${event.device}`;
      const state = changed.get(key) ?? this.#state(gateway, event.device);
      const right = event.clock === "unsynced" ? clockSteps.right(gateway, epoch, monoMs) : undefined;
      try {
        if (applyEvent(state, event, row.receivedMs, right)) changed.set(key, state);
      } catch {
        // A gateway that breaks the format loses this event in the view, and never stops it for the others.
      }
    }
    return true;
  }

  /** Clocks of gateways were set: what is known of their devices by the wrong ones is put right. */
  #correct(gateways: ReadonlySet<string>, changed: Map<string, DeviceState>): void {
    for (const gateway of gateways) {
      const right = (epoch: number, monoMs: number) => this.#archive.clockSteps.right(gateway, epoch, monoMs);
      for (const [key, state] of changed) if (key.startsWith(`${gateway}\n`)) correctTimes(state, right);
      for (let after = ""; ;) {
        const rows = this.#rows("gw = ? AND device > ?", [gateway, after], devicesStep);
        for (const { device, state } of rows) {
          const key = `${gateway}\n${device}`;
          if (!changed.has(key) && correctTimes(state, right)) changed.set(key, state);
        }
        if (rows.length < devicesStep) break;
        after = rows.at(-1)?.device ?? "";
      }
    }
  }

  #state(gateway: string, device: string): DeviceState {
    return this.#rows("gw = ? AND device = ?", [gateway, device], 1)[0]?.state ?? emptyState();
  }

  #put(changed: ReadonlyMap<string, DeviceState>): void {
    this.#inForce.clear();
    for (const [key, state] of changed) {
      const [gateway = "", device = ""] = key.split("\n");
      const type = this.#described(gateway, device, state)?.type ?? "";
      const sql = "INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?)";
      this.#store.run(sql, gateway, device, type, JSON.stringify(state));
    }
  }

  #rows(where: string, values: readonly unknown[], limit: number): Row[] {
    const sql = `SELECT * FROM latest WHERE ${where} ORDER BY gw, device LIMIT ?`;
    return this.#store.all(sql, ...values, limit).map(stateRow);
  }

  /**
   * The newest value of each point of a gateway by the numbers of the events, at most 50,000, in order of their
   * names. `behind`: there are stored batches that have not been read yet, or that wait for a dictionary.
   */
  values(gateway: string): { values: LatestValue[]; behind: boolean } {
    const values: LatestValue[] = [];
    for (let after = ""; values.length < valuesMax;) {
      const rows = this.#rows("gw = ? AND device > ?", [gateway, after], devicesStep);
      for (const { device, state } of rows)
        for (const reading of acceptedLast(state)) values.push({ device, ...reading });
      if (rows.length < devicesStep) break;
      after = rows.at(-1)?.device ?? "";
    }
    const unread = this.#store.all("SELECT 1 FROM batch WHERE id > ? LIMIT 1", this.#cursor);
    const waiting = this.#store.all("SELECT 1 FROM latest_waiting WHERE gw = ? LIMIT 1", gateway);
    const behind = unread.length + waiting.length > 0;
    return { values: values.slice(0, valuesMax).sort(byDeviceAndPoint), behind };
  }

  /** One device; undefined when nothing has been heard of it. */
  device(gateway: string, device: string): LatestDevice | undefined {
    this.#inForce.clear();
    const row = this.#rows("gw = ? AND device = ?", [gateway, device], 1)[0];
    return row === undefined ? undefined : this.#shown(row);
  }

  /** Devices after `(gateway, device)` in order, at most 2000; of these classes, of this gateway. */
  devices(
    after: { gateway: string; device: string },
    only: { classes?: readonly string[]; gateway?: string },
    limit: number,
  ): LatestDevice[] {
    this.#inForce.clear();
    const { classes, gateway } = only;
    const where = ["(gw, device) > (?, ?)"];
    const values: unknown[] = [after.gateway, after.device];
    if (gateway !== undefined) {
      where.push("gw = ?");
      values.push(gateway);
    }
    if (classes !== undefined) {
      where.push(`class IN (${classes.map(() => "?").join(", ")})`);
      values.push(...classes);
    }
    return this.#rows(where.join(" AND "), values, Math.min(limit, devicesMax)).map((row) =>
      this.#shown(row),
    );
  }

  #shown({ gateway, device, state }: Row): LatestDevice {
    const described = this.#described(gateway, device, state);
    const { name, place, levels } = described ?? {};
    const online = this.#online(gateway);
    const known: KnownDevice = {
      gateway,
      id: device,
      class: described?.type ?? "",
      ...(name === undefined ? {} : { name }),
      ...(place === undefined ? {} : { place }),
      ...(levels === undefined ? {} : { levels }),
      ...(online === undefined ? {} : { gatewayOnline: online }),
    };
    return { known, state };
  }

  /** What the gateway says of a device. */
  #described(gateway: string, device: string, { profile }: DeviceState): DictionaryDevice | undefined {
    if (!this.#inForce.has(gateway)) this.#inForce.set(gateway, this.#dictionaryOf(gateway));
    const dictionary = this.#inForce.get(gateway);
    const same = dictionary === undefined ? [] : (byId(dictionary).get(device) ?? []);
    return same.findLast((one) => one.profile === profile) ?? same.at(-1);
  }

  /** The dictionary that is in force: that of the gateway's last birth, or one that came after it. */
  #dictionaryOf(gateway: string): Dictionary | undefined {
    const sql = "SELECT hash, received_ms FROM dictionary WHERE gw = ? ORDER BY rowid DESC LIMIT 1";
    const newest = this.#store.all(sql, gateway)[0];
    if (newest === undefined) return undefined;
    const birth = this.#store.all("SELECT received_ms, body FROM birth WHERE gw = ?", gateway)[0];
    const isAfterBirth =
      birth === undefined || (newest["received_ms"] as number) > (birth["received_ms"] as number);
    const hash = isAfterBirth ? undefined : parseBirth(birth["body"] as Uint8Array).dictionary;
    const told = hash === undefined ? undefined : this.#archive.dictionary(gateway, hash);
    return told ?? this.#archive.dictionary(gateway, newest["hash"] as string);
  }
}

function byDeviceAndPoint(a: LatestValue, b: LatestValue): number {
  if (a.device !== b.device) return a.device < b.device ? -1 : 1;
  return a.point < b.point ? -1 : a.point > b.point ? 1 : 0;
}

const devicesById = new WeakMap<Dictionary, Map<string, DictionaryDevice[]>>();

function byId(dictionary: Dictionary): Map<string, DictionaryDevice[]> {
  let devices = devicesById.get(dictionary);
  if (devices === undefined) {
    devices = Map.groupBy(dictionary.devices, ({ id }) => id);
    devicesById.set(dictionary, devices);
  }
  return devices;
}

interface Row {
  gateway: string;
  device: string;
  state: DeviceState;
}

function stateRow(row: Columns): Row {
  return {
    gateway: row["gw"] as string,
    device: row["device"] as string,
    state: JSON.parse(row["body"] as string) as DeviceState,
  };
}

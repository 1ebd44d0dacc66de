import { newCommandId } from "../../commands/command.ts";
import type { CommandState } from "../../commands/state.ts";
import { isFinal } from "../../commands/state.ts";
import type { KerbEvent } from "../../event.ts";
import type { Store } from "../store.ts";
import { parseState, readState } from "./states.ts";

/** A command as its gateway has told of it. Times are ms since 1970. */
export interface CommandRow {
  id: string;
  gateway: string;
  device: string;
  /** The newest state, and by what it was heard. */
  state: CommandState;
  /** All states in their order, the oldest first. */
  states: Heard[];
  receivedMs: number;
  /** Its end has also come as an event: it is in custody. */
  certain: boolean;
}

/** by: on the answer topic, or as an event; an event is what custody, seals and certificates are over. */
interface Heard {
  state: CommandState;
  by: ("answer" | "event")[];
}

/** Commands that are kept; those that were heard of first go first. */
const keptMax = 100_000;
const trimEvery = 1000;
const statesMax = 32;
/** Of one command; answers beyond it are left to the events. */
const bodyCharsMax = 65_536;
/** An id names its time; an answer about a command of later than this from now is nobody's. */
const aheadMsMax = 86_400_000;
const pendingMax = 1000;
const flushMs = 50;

/** As told: what is only true of one telling of it left out. */
function nameOf(state: CommandState): string {
  const { replay: _, nonceMs: __, ...told } = state;
  return JSON.stringify(Object.entries(told).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * The commands that gateways have told of, newest first: kept beside custody, fed by the answers as they come and by
 * `command-result` events as they are stored. The events alone bring all of it, only later.
 */
export class CommandRecord {
  readonly #store: Store;
  #pending: { state: CommandState; by: Heard["by"][number]; receivedMs: number }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sinceTrim = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** An answer of a gateway, which may be anything. */
  answer(gateway: string, payload: Uint8Array): void {
    const state = parseState(gateway, payload);
    if (state === undefined || this.#pending.length >= pendingMax) return;
    if (state.id > newCommandId(Date.now() + aheadMsMax)) return;
    this.#pending.push({ state, by: "answer", receivedMs: Date.now() });
    this.#timer ??= setTimeout(() => this.#flush(), flushMs);
    this.#timer.unref();
  }

  /** A stored event; within the transaction of whoever follows the stored batches. */
  event({ gateway, kind, data }: KerbEvent, receivedMs: number): void {
    const state = kind === "command-result" ? readState(gateway, data) : undefined;
    if (state !== undefined) this.#take(state, "event", receivedMs);
  }

  /** The commands of a gateway (of all: ""), the newest id first, those before `before`. */
  page(gateway: string, before: string, limit: number): CommandRow[] {
    this.#flush();
    const rows =
      gateway === ""
        ? this.#store.all("SELECT * FROM command WHERE id < ? ORDER BY id DESC LIMIT ?", before, limit)
        : this.#store.all(
            "SELECT * FROM command WHERE gw = ? AND id < ? ORDER BY id DESC LIMIT ?",
            gateway,
            before,
            limit,
          );
    return rows.map((row) => rowOf(row["gw"] as string, row["received_ms"] as number, row["body"] as string));
  }

  /** The command of an id: of this gateway, or (undefined) of whichever has told of it. */
  byId(id: string, gateway: string | undefined): CommandRow[] {
    this.#flush();
    return this.#store
      .all(
        "SELECT * FROM command WHERE id = ? AND (? IS NULL OR gw = ?)",
        id,
        gateway ?? null,
        gateway ?? null,
      )
      .map((row) => rowOf(row["gw"] as string, row["received_ms"] as number, row["body"] as string));
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const taken = this.#pending.splice(0);
    if (taken.length === 0) return;
    try {
      this.#store.transaction(() => {
        for (const { state, by, receivedMs } of taken) this.#take(state, by, receivedMs);
      });
    } catch {
      // A database that refuses: the receiver tells it, and the events bring the same.
    }
  }

  #take(told: CommandState, by: Heard["by"][number], receivedMs: number): void {
    // Nobody has signed what it is about; and a token is nobody's but the sender's.
    if (told.unsigned === true) return;
    const { arm: _, nonce: __, ...state } = told;
    const known = this.#store.all("SELECT body FROM command WHERE gw = ? AND id = ?", state.gw, state.id)[0];
    const states = known === undefined ? [] : (JSON.parse(known["body"] as string) as Heard[]);
    const name = nameOf(state);
    const same = states.find((one) => nameOf(one.state) === name);
    if (same !== undefined && same.by.includes(by)) return;
    if (same !== undefined) same.by = [...same.by, by].toSorted();
    else {
      // Anybody at the broker can fill it with answers; an event has a right to its place.
      const surplus = by === "event" && states.length >= statesMax ? states.findIndex(isAnswerOnly) : -1;
      if (surplus >= 0) states.splice(surplus, 1);
      if (states.length < statesMax) states.push({ state, by: [by] });
    }
    states.sort((a, b) => rankOf(a) - rankOf(b) || a.state.at - b.state.at);
    const body = JSON.stringify(states);
    if (by === "answer" && body.length > bodyCharsMax) return;
    this.#store.run(
      "INSERT INTO command VALUES (?, ?, ?, ?, ?) ON CONFLICT (gw, id) DO UPDATE SET body = excluded.body",
      state.gw,
      state.id,
      state.dev,
      receivedMs,
      body,
    );
    if (++this.#sinceTrim < trimEvery) return;
    this.#sinceTrim = 0;
    this.#store.run(
      "DELETE FROM command WHERE rowid IN (SELECT rowid FROM command ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
      keptMax,
    );
  }
}

function isAnswerOnly({ by }: Heard): boolean {
  return !by.includes("event");
}

/**
 * A state that nothing follows stands last, also where a clock was set in between; and one that came as an event behind
 * what was only answered, which anybody at the broker may have written.
 */
function rankOf(heard: Heard): number {
  const { state } = heard;
  const ranks = { accepted: 0, running: 1, unknown: 2 } as Record<string, number>;
  if (!isFinal(state)) return ranks[state.state] ?? 3;
  return isAnswerOnly(heard) ? 3 : 4;
}

function rowOf(gateway: string, receivedMs: number, body: string): CommandRow {
  const states = JSON.parse(body) as Heard[];
  const { state, by } = states.at(-1) as Heard;
  const certain = isFinal(state) && by.includes("event");
  return { id: state.id, gateway, device: state.dev, state, states, receivedMs, certain };
}

import type Database from "better-sqlite3";
import { clockState, monotonicMs, putRight, stepMs } from "../clock.ts";
import { clockStates, eventKinds, type ClockState } from "../event.ts";
import { gap } from "../gaps.ts";
import type { EpochRecord, StoredRow } from "./rows.ts";

/**
 * Moments at which the clock became better than it was: from then on the times of rows that were taken before, in
 * the same boot, are corrected when they are read. The queue itself is never rewritten.
 */
const tables = `
CREATE TABLE clock_fix (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  boot TEXT NOT NULL, mono INTEGER NOT NULL, wall INTEGER NOT NULL, state TEXT NOT NULL
) STRICT;
-- The newest fix when a batch was frozen: later ones do not change its bytes.
ALTER TABLE cut ADD COLUMN fix INTEGER NOT NULL DEFAULT 0;
`;

/** A moment of one boot by both clocks, ms; `wallMs` was right as far as `state` says. */
interface ClockFix {
  id: number;
  boot: string;
  monoMs: number;
  wallMs: number;
  state: ClockState;
}

/** A moment by both clocks, ms, and what was known of the wall clock then. */
export interface Moment {
  wallMs: number;
  monoMs: number;
  state: ClockState;
}

/** The clock was found set or proved. `stepMs` is how far it jumped; 0 when it did not. */
export interface ClockNews {
  state: ClockState;
  wallMs: number;
  monoMs: number;
  stepMs: number;
}

/** A time by both clocks, to be corrected. */
interface Stamp {
  boot: string;
  monoMs: number;
  wallMs: number;
  state: ClockState;
}

export function clockTables(database: Database.Database): void {
  database.exec(tables);
}

/** Where the times of an event stand, from its head alone; undefined when it is cut off. */
function stampOf(body: Uint8Array, boot: string): (Stamp & { at: number }) | undefined {
  let at = 3;
  while ((body[at++] ?? 0) > 127);
  if (at + 16 > body.length) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const state = clockStates[body[2] ?? 255] ?? "unsynced";
  return { boot, state, at, wallMs: view.getFloat64(at, true), monoMs: view.getFloat64(at + 8, true) };
}

/** Monotonic time of an event of an earlier boot: no fix of this one speaks of it, so it stands behind them all. */
const otherBootMs = Number.MAX_SAFE_INTEGER;

/** An event of an earlier boot that is stored anew. */
export function withoutFix(body: Buffer): Buffer {
  const stamp = stampOf(body, "");
  const copy = Buffer.from(body);
  if (stamp !== undefined) copy.writeDoubleLE(otherBootMs, stamp.at + 8);
  return copy;
}

/**
 * When an event is accepted that is stored now, ms: by the clock that its own time is told by. Where it was set in
 * between, what puts the one right would else put the other wrong.
 */
export function acceptedMs(body: Uint8Array, wallMs: number, monoMs: number): number {
  const stamp = stampOf(body, "");
  if (stamp === undefined || stamp.state === "synced" || stamp.monoMs === otherBootMs) return wallMs;
  const byItsClockMs = Math.round(stamp.wallMs + monoMs - stamp.monoMs);
  return Math.abs(byItsClockMs - wallMs) > stepMs ? byItsClockMs : wallMs;
}

/** Watches the clock, remembers its fixes and corrects times by them. */
export class ClockFixes {
  readonly #statements;
  readonly #boot: string;
  #fixes: ClockFix[];
  #offsetMs: number;
  #state: ClockState;

  /**
   * `before`: the newest commit of an earlier run in this boot; the clock may have been set while no gateway ran.
   * `began`: the first moment of this run; it may have been set since, and what was read before is to be corrected.
   */
  constructor(
    database: Database.Database,
    boot: string,
    before: { wallMs: number; monoMs: number } | undefined,
    began: Moment = { wallMs: Date.now(), monoMs: monotonicMs(), state: clockState() },
  ) {
    this.#boot = boot;
    this.#statements = {
      add: database.prepare("INSERT INTO clock_fix (boot, mono, wall, state) VALUES (?, ?, ?, ?)"),
    };
    if (!database.readonly) database.exec("DELETE FROM clock_fix WHERE boot NOT IN (SELECT boot FROM epoch)");
    this.#fixes = database
      .prepare("SELECT id, boot, mono AS monoMs, wall AS wallMs, state FROM clock_fix ORDER BY id")
      .all() as ClockFix[];
    const { wallMs, monoMs } = before ?? began;
    this.#offsetMs = wallMs - monoMs;
    // What an earlier run in this boot took while the clock was wrong, this one can put right.
    this.#state = before === undefined ? began.state : (this.#fixes.at(-1)?.state ?? "unsynced");
  }

  /** The newest fix; a batch that is frozen now will be rendered with the fixes up to this one. */
  get latest(): number {
    return this.#fixes.at(-1)?.id ?? 0;
  }

  /** Looks at the clock; durably remembers when it was set or proved, and tells. */
  watch(): ClockNews | undefined {
    const state = clockState();
    const wallMs = Date.now();
    const monoMs = monotonicMs();
    const jumpMs = wallMs - monoMs - this.#offsetMs;
    const hasJumped = Math.abs(jumpMs) > stepMs;
    const isBetter = clockStates.indexOf(state) < clockStates.indexOf(this.#state);
    if ((hasJumped || isBetter) && state !== "unsynced") {
      // Rounded up: what was taken in this very millisecond was taken before.
      const fix = { boot: this.#boot, monoMs: Math.ceil(monoMs), wallMs: Math.round(wallMs), state };
      const { lastInsertRowid } = this.#statements.add.run(fix.boot, fix.monoMs, fix.wallMs, state);
      this.#fixes.push({ id: Number(lastInsertRowid), ...fix });
    }
    this.#offsetMs = wallMs - monoMs;
    this.#state = state;
    return hasJumped || isBetter ? { state, wallMs, monoMs, stepMs: hasJumped ? jumpMs : 0 } : undefined;
  }

  /** Looks at the clock; what a gap event tells of its jump, if there was one. `epochs`: of this outbox. */
  step(epochs: readonly EpochRecord[]): Record<string, unknown> | undefined {
    const news = this.watch();
    if (news === undefined || news.stepMs === 0) return undefined;
    const { wallMs, monoMs } = news;
    const stepMsRounded = Math.round(news.stepMs);
    return gap("clock_step", wallMs - stepMsRounded, wallMs, {
      stepMs: stepMsRounded,
      boot: this.#boot,
      epochs: epochs.filter((record) => record.boot === this.#boot).map(({ epoch }) => epoch),
      monoMs: Math.round(monoMs),
    });
  }

  /**
   * How much later (ms) a time really was, by the fixes up to `upTo`; undefined when nothing is to be corrected. The
   * first proof after it decides, for an impossible time the first plausible clock too.
   */
  shiftOf({ boot, monoMs, wallMs, state }: Stamp, upTo: number): number | undefined {
    if (state === "synced") return undefined;
    const after = (fix: ClockFix) => fix.id <= upTo && fix.boot === boot && fix.monoMs >= monoMs;
    const fix =
      this.#fixes.find((one) => one.state === "synced" && after(one)) ??
      (state === "unsynced" ? this.#fixes.find(after) : undefined);
    if (fix === undefined) return undefined;
    const shift = Math.round(fix.wallMs - (fix.monoMs - monoMs) - wallMs);
    return state === "holdover" && Math.abs(shift) <= stepMs ? undefined : shift;
  }

  /** A row with its times as they are known now, by the fixes up to `upTo`: corrected ones are "holdover". */
  corrected(row: StoredRow, boot: string, upTo: number): StoredRow {
    if (this.#fixes.length === 0 || row.body[2] === 0) return row;
    const stamp = stampOf(row.body, boot);
    const shift = stamp === undefined ? undefined : this.shiftOf(stamp, upTo);
    if (stamp === undefined || shift === undefined) return row;
    const { wallMs } = stamp;
    const right = (ms: number) => putRight(ms, wallMs, wallMs + shift);
    const isGap = row.body[1] === eventKinds.indexOf("gap");
    const head = Buffer.from(row.body);
    const body = isGap ? withGapTimes(head, stamp.at + 16, right) : head;
    body[2] = clockStates.indexOf("holdover");
    body.writeDoubleLE(Math.round(wallMs + shift), stamp.at);
    return { ...row, recordedMs: row.recordedMs + shift, body };
  }

  /** When a row was accepted, of which only the head is at hand. */
  correctedMs(row: Pick<StoredRow, "body" | "recordedMs">, boot: string): number {
    const stamp = this.#fixes.length === 0 ? undefined : stampOf(row.body, boot);
    const shift = stamp === undefined ? undefined : this.shiftOf(stamp, Infinity);
    return row.recordedMs + (shift ?? 0);
  }
}

/** The event with `from` and `to` of its gap corrected; those of a set clock are what the clock showed. */
function withGapTimes(body: Buffer, at: number, right: (ms: number) => number): Buffer {
  const data = objectIn(body.toString("utf8", at));
  if (data === undefined || data["cause"] === "clock_step") return body;
  for (const name of ["from", "to"]) {
    const ms = Date.parse(String(data[name]));
    if (Number.isFinite(ms)) data[name] = new Date(right(ms)).toISOString();
  }
  return Buffer.concat([body.subarray(0, at), Buffer.from(JSON.stringify(data))]);
}

/** undefined: it is none, which whoever encodes the event finds out. */
function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

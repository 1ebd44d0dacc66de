import type Database from "better-sqlite3";
import { bootId, clockState, doubtClock, monotonicMs } from "../clock.ts";
import { gap } from "../gaps.ts";
import type { Accounts, LastAccepted } from "./accounts.ts";
import type { ClockFixes } from "./clock-fixes.ts";

const tables = `
-- Epochs that ended as they should; one without an entry was killed, or lost its power.
CREATE TABLE epoch_end (epoch INTEGER PRIMARY KEY, wall INTEGER NOT NULL) STRICT;
-- The site's devices at the last start, to see what has changed since.
CREATE TABLE roster (
  id TEXT PRIMARY KEY, device INTEGER NOT NULL, fingerprint TEXT NOT NULL, enabled INTEGER NOT NULL
) STRICT;
`;

/** Soon after its boot a box shows when it booted; much later the file may have come from another machine. */
const bootFreshMs = 15 * 60_000;

/** A device of the site file: its dictionary index (none while it is disabled) and a hash of its settings. */
export interface RosterEntry {
  id: string;
  device: number | undefined;
  fingerprint: string;
  enabled: boolean;
}

/** Between two moments of the wall clock, ms since 1970. */
export interface TimeSpan {
  fromMs: number;
  toMs: number;
}

/** A gap event to be stored: of a device's dictionary index, or of the gateway itself. */
export interface FoundGap {
  device: number | undefined;
  data: Record<string, unknown>;
}

interface Run {
  epoch: number;
  boot: string;
  startedMs: number;
  endedMs: number | null;
}

export function runTables(database: Database.Database): void {
  database.exec(tables);
}

/** The gateway's run before this one: how it ended, and with which devices it ran. */
export class Runs {
  readonly #database: Database.Database;
  readonly #accounts: Accounts;
  readonly #before: Run | undefined;
  readonly #last: LastAccepted | undefined;
  /** As the clock shows it now. */
  readonly #startedMs: number;

  /** To be made before the next epoch is opened. `beganMonoMs`: the first moment of this run. */
  constructor(database: Database.Database, accounts: Accounts, beganMonoMs = monotonicMs()) {
    this.#startedMs = Math.round(Date.now() - Math.max(0, monotonicMs() - beganMonoMs));
    this.#database = database;
    this.#accounts = accounts;
    this.#before = database
      .prepare(
        "SELECT epoch, boot, started_wall AS startedMs, wall AS endedMs FROM epoch LEFT JOIN epoch_end USING (epoch) ORDER BY epoch DESC LIMIT 1",
      )
      .get() as Run | undefined;
    this.#last = accounts.last();
    this.#doubtClock();
  }

  /** A box without a battery for its clock comes up with the time of its last shutdown, or an earlier one. */
  #doubtClock(): void {
    if (this.#before === undefined || this.#last === undefined || this.#before.boot === bootId()) return;
    const nowMs = Date.now();
    const monoMs = monotonicMs();
    const bootMs = monoMs < bootFreshMs ? nowMs - monoMs : nowMs;
    // A step up to now is noticed first: noticed later it would take the doubt away.
    clockState();
    if (bootMs < this.#last.wallMs) doubtClock({ isWrong: true });
  }

  /** The newest commit of an earlier run in this boot. */
  lastInThisBoot(): LastAccepted | undefined {
    return this.#before?.boot === bootId() && (this.#last?.monoMs ?? 0) > 0 ? this.#last : undefined;
  }

  /** The time in which no gateway ran; undefined when this is the first run. */
  boxOff(fixes: ClockFixes): FoundGap | undefined {
    const before = this.#before;
    if (before === undefined) return undefined;
    const { epoch, boot, endedMs } = before;
    const data = gap("box_off", this.#lastAliveMs(fixes), this.#startedMs, {
      restart: boot === bootId() ? "process" : "boot",
      ended: endedMs === null ? "killed" : "clean",
      epoch,
    });
    return { device: undefined, data };
  }

  /** When the run before was last known to be alive, as far as the clock of that time can be put right. */
  #lastAliveMs(fixes: ClockFixes): number {
    const { boot = "", startedMs = this.#startedMs } = this.#before ?? {};
    if (this.#last === undefined || this.#last.wallMs === 0) return startedMs;
    const { wallMs, monoMs } = this.#last;
    return wallMs + (fixes.shiftOf({ boot, wallMs, monoMs, state: "unsynced" }, Infinity) ?? 0);
  }

  /**
   * Compares the site's devices with those of the run before, or with those before a change within this run
   * (`during`). `remember` belongs into the transaction that stores the gaps.
   */
  compare(
    roster: readonly RosterEntry[],
    fixes: ClockFixes,
    during: TimeSpan = { fromMs: this.#lastAliveMs(fixes), toMs: this.#startedMs },
  ): { gaps: FoundGap[]; remember: () => void } {
    const stored = this.#database.prepare("SELECT * FROM roster").all() as {
      id: string;
      device: number;
      fingerprint: string;
      enabled: number;
    }[];
    const before = new Map(stored.map((entry) => [entry.id, { ...entry, enabled: entry.enabled === 1 }]));
    const gaps: FoundGap[] = [];
    const changes: { device: string; change: string }[] = [];
    for (const { id, enabled, fingerprint, device } of stored.length === 0 ? [] : roster) {
      const was = before.get(id);
      if (was === undefined) changes.push({ device: id, change: "added" });
      else if (was.enabled !== enabled) {
        const fromMs = this.#accounts.lastOf(was.device)?.wallMs ?? during.fromMs;
        const data = gap("disabled", fromMs, during.toMs, { device: id, open: !enabled });
        gaps.push({ device: device ?? was.device, data });
      } else if (enabled && was.fingerprint !== fingerprint) changes.push({ device: id, change: "changed" });
    }
    const now = new Set(roster.map(({ id }) => id));
    for (const { id } of stored) if (!now.has(id)) changes.push({ device: id, change: "removed" });
    if (changes.length > 0) {
      const data = gap("config_change", during.fromMs, during.toMs, { devices: changes });
      gaps.push({ device: undefined, data });
    }
    return { gaps, remember: () => this.#remember(roster, before) };
  }

  #remember(roster: readonly RosterEntry[], before: ReadonlyMap<string, { device: number }>): void {
    this.#database.exec("DELETE FROM roster");
    const add = this.#database.prepare("INSERT INTO roster VALUES (?, ?, ?, ?)");
    for (const { id, device, fingerprint, enabled } of roster)
      add.run(id, device ?? before.get(id)?.device ?? 0, fingerprint, enabled ? 1 : 0);
  }

  /** This run ends as it should. */
  end(epoch: number): void {
    this.#database.exec("DELETE FROM epoch_end WHERE epoch NOT IN (SELECT epoch FROM epoch)");
    this.#database
      .prepare("INSERT OR REPLACE INTO epoch_end VALUES (?, ?)")
      .run(epoch, Math.round(Date.now()));
  }
}

import Database from "better-sqlite3";
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { OutboxStore, type RowLane } from "../../gateway/outbox/store.ts";

/** What the acknowledging writer had said when it was stopped: rows above `released`, up to `newest`, must be there. */
export interface Acknowledged {
  newest: number;
  released: number;
}

/** What a file held against what was acknowledged; all zero and no defect is what must be. */
export interface Finding {
  acknowledged: number;
  /** Acknowledged rows that are not there, or are there with a CRC that does not fit. */
  lost: number;
  /** Other rows that are missing between two that are there. */
  gaps: number;
  /** What SQLite or the books say against the file; undefined when nothing. */
  defect: string | undefined;
  /** Opening through the product, recovery included. */
  openMs: number;
}

export interface WriterOptions {
  mode?: "product" | "normal";
  commits?: number;
  environment?: NodeJS.ProcessEnv;
}

/** Starts the acknowledging writer, in a process group of its own: a stopped one must not get a SIGHUP. */
export function startWriter(
  path: string,
  acknowledgedPath: string,
  options: WriterOptions = {},
): ChildProcess {
  const { mode = "product", commits = Infinity, environment = {} } = options;
  const file = fileURLToPath(new URL("acknowledging-writer.ts", import.meta.url));
  return spawn(process.execPath, [file, path, acknowledgedPath, mode, String(commits)], {
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
    env: { ...process.env, ...environment },
  });
}

export function readAcknowledged(path: string): Acknowledged {
  const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  if (bytes.length < 16) return { newest: 0, released: 0 };
  return { newest: bytes.readDoubleLE(0), released: bytes.readDoubleLE(8) };
}

/** Waits for the first acknowledgement above `above`. Throws when the writer ends before. */
export async function firstAcknowledgement(writer: ChildProcess, path: string, above: number): Promise<void> {
  const endMs = performance.now() + 30_000;
  while (readAcknowledged(path).newest <= above) {
    if (writer.exitCode !== null || performance.now() > endMs)
      throw new Error(`the writer does not write (${writer.exitCode ?? "it runs"})`);
    await sleep(1);
  }
}

/** Opens a file as the product does and holds it against the acknowledgements. */
export function checkOutbox(path: string, { newest, released }: Acknowledged): Finding {
  const begun = performance.now();
  const store = new OutboxStore({ path, bytesMax: 256 * 1024 * 1024 });
  const openMs = performance.now() - begun;
  let defect = store.quarantined === undefined ? undefined : "it was put aside as damaged";
  const ids = new Set<number>();
  for (const lane of [0, 1] as RowLane[])
    for (const { id } of store.rows(lane, released + 1, store.lastId, 10_000_000)) ids.add(id);
  let lost = 0;
  let gaps = 0;
  for (let id = released + 1; id <= Math.max(newest, store.lastId); id++) {
    if (ids.has(id)) continue;
    if (id <= newest) lost++;
    else gaps++;
  }
  const { event, live } = store.books();
  const rows = store.count().rows;
  if (event.kept + live.kept !== rows)
    defect = `the books say ${event.kept + live.kept} rows, there are ${rows}`;
  store.close();
  defect = quickCheck(path) ?? defect;
  return { acknowledged: newest, lost, gaps, defect, openMs };
}

/** The control's file: rows that were acknowledged and are gone; "schema lost" when there is no table any more. */
export function checkControl(path: string, { newest }: Acknowledged): Finding {
  const begun = performance.now();
  const database = new Database(path);
  let kept = 0;
  try {
    kept = (database.prepare("SELECT count(*) AS rows FROM event").get() as { rows: number }).rows;
  } catch {
    // Without its table it has lost everything.
  }
  database.close();
  const defect = quickCheck(path);
  return { acknowledged: newest, lost: newest - kept, gaps: 0, defect, openMs: performance.now() - begun };
}

function quickCheck(path: string): string | undefined {
  const database = new Database(path);
  try {
    const said = database.pragma("quick_check", { simple: true }) as string;
    return said === "ok" ? undefined : said;
  } catch (error) {
    return (error as Error).message;
  } finally {
    database.close();
  }
}

/** Adds findings up. */
export class Tally {
  trials = 0;
  acknowledged = 0;
  lost = 0;
  gaps = 0;
  defects = 0;
  /** Trials in which something was lost. */
  losing = 0;
  openMsMax = 0;
  firstDefect: string | undefined;

  add(finding: Finding): void {
    this.trials++;
    this.acknowledged += finding.acknowledged;
    this.lost += finding.lost;
    this.gaps += finding.gaps;
    if (finding.lost > 0) this.losing++;
    if (finding.defect !== undefined) this.defects++;
    this.firstDefect ??= finding.defect;
    this.openMsMax = Math.max(this.openMsMax, finding.openMs);
  }

  get clean(): boolean {
    return this.trials > 0 && this.lost === 0 && this.gaps === 0 && this.defects === 0;
  }

  toString(): string {
    const defect = this.firstDefect === undefined ? "" : ` (${this.firstDefect})`;
    return `${this.lost} of ${this.acknowledged} acknowledged rows lost, ${this.gaps} gaps, ${this.defects} corrupt${defect}`;
  }
}

import type Database from "better-sqlite3";

/** How far the receiver of an uplink has an epoch. */
export interface Watermark {
  uplink: string;
  epoch: number;
  watermark: number;
}

/** What the receivers have acknowledged; also in memory, for the day when the file is gone. */
export class Watermarks {
  readonly #statements;
  readonly #known = new Map<string, Watermark>();

  constructor(database: Database.Database) {
    this.#statements = {
      set: database.prepare(
        "INSERT INTO released VALUES (?, ?, ?) ON CONFLICT (uplink, epoch) DO UPDATE SET watermark = max(watermark, excluded.watermark)",
      ),
      of: database.prepare("SELECT watermark FROM released WHERE uplink = ? AND epoch = ?").pluck(),
    };
    const marks = database.prepare("SELECT uplink, epoch, watermark FROM released").all() as Watermark[];
    for (const mark of marks) this.#know(mark);
  }

  get list(): Watermark[] {
    return [...this.#known.values()];
  }

  set(uplink: string, epoch: number, watermark: number): void {
    this.#statements.set.run(uplink, epoch, watermark);
    const before = this.#known.get(keyOf(uplink, epoch))?.watermark ?? 0;
    this.#know({ uplink, epoch, watermark: Math.max(before, watermark) });
  }

  of(uplink: string, epoch: number): number {
    return (this.#statements.of.get(uplink, epoch) as number | undefined) ?? 0;
  }

  #know(mark: Watermark): void {
    this.#known.set(keyOf(mark.uplink, mark.epoch), mark);
  }
}

function keyOf(uplink: string, epoch: number): string {
  return `${epoch} ${uplink}`;
}

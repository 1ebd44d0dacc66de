import type Database from "better-sqlite3";
import type { Acknowledgement } from "../../gateway/receiver/acknowledge.ts";
import { quality, type KerbEvent } from "../../gateway/event.ts";
import { decodeBatch } from "../../gateway/receiver/decode.ts";
import type { Certificate } from "../../gateway/receiver/certificates.ts";
import type { Receiver } from "../../gateway/receiver/receiver.ts";
import { contentOf } from "./content.ts";
import { gatewayId } from "./gateway.ts";
import { disks } from "./files.ts";
import { key, type Accepted } from "./outbox-model.ts";
import type { World } from "./world.ts";

type Range = [number, number];

interface LossRow {
  ep: number;
  first: number;
  last: number;
  reason: string;
}

/** A receiver's end of the model: what is in its file, and whether its words are covered by that. */
export class ReceiverModel {
  readonly #world: World;
  readonly name: string;
  readonly #events: ReadonlyMap<string, Accepted>;
  readonly #has = new Map<number, Set<number>>();
  readonly #lost = new Map<number, Map<number, string>>();
  /** Changes with the table of losses. */
  #losses: string | undefined;
  readonly #verifiedTo = new Map<number, number>();
  /** Stored once, and gone when the database was set back. */
  readonly setBack = new Set<string>();
  #query: ReturnType<typeof statements> | undefined;
  #database: Database.Database | undefined;
  #changes = -1;
  #lastBatch = 0;
  /** Events accepted from then on reach the disk here within the bound. */
  calmSinceMs = Infinity;
  /** That the gateway's clock has had. */
  offsetsMs: ReadonlySet<number> = new Set([0]);
  slowestMs = 0;

  constructor(world: World, name: string, events: ReadonlyMap<string, Accepted>) {
    this.#world = world;
    this.name = name;
    this.#events = events;
  }

  has(event: Accepted): boolean {
    return this.#has.get(event.epoch)?.has(event.seq) === true;
  }

  lossOf(event: Accepted): string | undefined {
    return this.#lost.get(event.epoch)?.get(event.seq);
  }

  /** A database was opened: what was durable before must be in it, unless it was set back on purpose. */
  opened(path: string, wasSetBack: boolean): void {
    // What it knew to be lost counts as well.
    const before = [this.#has, this.#lost].flatMap((known) =>
      [...known].flatMap(([epoch, seqs]) => [...seqs.keys()].map((seq) => ({ epoch, seq }))),
    );
    this.#has.clear();
    this.#lost.clear();
    this.#verifiedTo.clear();
    this.#lastBatch = 0;
    this.#losses = undefined;
    this.#attach(path);
    this.turned(path);
    const gone = before
      .filter(({ epoch, seq }) =>
        [this.#has, this.#lost].every((known) => known.get(epoch)?.has(seq) !== true),
      )
      .map(({ epoch, seq }) => key(epoch, seq));
    if (gone.length > 0 && !wasSetBack)
      return this.#world.fail(
        `${this.name}: ${gone[0]} and ${gone.length - 1} more were stored and are gone`,
      );
    for (const id of gone) this.setBack.add(id);
  }

  #attach(path: string): void {
    const database = disks.connection(path);
    if (database === undefined || database === this.#database) return;
    this.#database = database;
    this.#query = statements(database);
    this.#changes = -1;
  }

  /** After each turn of the receiver: new batches, each event of them stored for the first time and known. */
  turned(path: string): void {
    this.#attach(path);
    const query = this.#query;
    if (query === undefined || this.#database?.open !== true) return;
    const changes = query.changes.get() as number;
    if (changes === this.#changes) return;
    this.#changes = changes;
    for (const row of query.batches.all(this.#lastBatch) as {
      id: number;
      ep: number;
      take: string | null;
      body: Uint8Array;
    }[]) {
      this.#lastBatch = row.id;
      const take = row.take === null ? undefined : (JSON.parse(row.take) as Range[]);
      for (const seq of decodeBatch(row.body).seqs) {
        if (take === undefined || take.some(([from, to]) => seq >= from && seq <= to))
          this.#store(row.ep, seq);
      }
    }
    const losses = query.losses.get() as string;
    if (losses !== this.#losses) this.#readLosses(losses);
  }

  #store(epoch: number, seq: number): void {
    const has = this.#has.get(epoch) ?? new Set();
    this.#has.set(epoch, has);
    if (has.has(seq)) this.#world.fail(`${this.name}: ${epoch}:${seq} is stored twice`);
    has.add(seq);
    const event = this.#events.get(key(epoch, seq));
    if (event === undefined) return this.#world.fail(`${this.name}: ${epoch}:${seq} was never accepted`);
    this.setBack.delete(key(epoch, seq));
    if (event.atMs < this.calmSinceMs) return;
    this.slowestMs = Math.max(this.slowestMs, this.#world.nowMs - event.atMs);
  }

  #readLosses(losses: string): void {
    this.#losses = losses;
    this.#lost.clear();
    const rows = (this.#query?.allLosses.all() ?? []) as LossRow[];
    for (const { ep, first, last, reason } of rows) {
      const lost = this.#lost.get(ep) ?? new Map<number, string>();
      this.#lost.set(ep, lost);
      for (let seq = first; seq <= last; seq++) {
        lost.set(seq, reason);
        if (!this.#events.has(key(ep, seq)))
          this.#world.fail(`${this.name}: ${ep}:${seq} is declared lost (${reason}) and was never accepted`);
      }
    }
  }

  /** The receiver says what is in durable storage; it must be there at that moment. */
  acknowledges(document: Acknowledgement, path: string): void {
    this.turned(path);
    for (const [name, state] of Object.entries(document.ep)) {
      const epoch = Number(name);
      for (let seq = (this.#verifiedTo.get(epoch) ?? 0) + 1; seq <= state.wm; seq++)
        this.#covered(epoch, seq, "wm");
      this.#verifiedTo.set(epoch, Math.max(this.#verifiedTo.get(epoch) ?? 0, state.wm));
      const { top = state.wm, miss = [] } = state as { top?: number; miss?: Range[] };
      for (let seq = state.wm + 1; seq <= top; seq++) {
        if (!miss.some(([from, to]) => seq >= from && seq <= to)) this.#covered(epoch, seq, "top");
      }
    }
  }

  #covered(epoch: number, seq: number, word: string): void {
    if (this.#has.get(epoch)?.has(seq) === true || this.#lost.get(epoch)?.has(seq) === true) return;
    this.#world.fail(`${this.name} acknowledges ${epoch}:${seq} (${word}) and does not have it`);
  }

  /** The times that its seals are for. */
  sealed(): { fromMs: number; toMs: number }[] {
    return (this.#query?.sealed.all() ?? []) as { fromMs: number; toMs: number }[];
  }

  /** At the end: nothing that was sealed is missing or altered. */
  checkCertificates(certificates: readonly Certificate[]): void {
    for (const { from, state, tampered, findings } of certificates) {
      if (state === "gap" || tampered)
        this.#world.fail(`${this.name} certifies ${state} for ${from}: ${JSON.stringify(findings)}`);
      this.certified[state]++;
    }
  }
  readonly certified = { complete: 0, "complete-with-declared-loss": 0, gap: 0, unsealed: 0 };

  /** At the end: what was set back shows as lost or as a hole, unless the gateway forgot that epoch. */
  checkShown(known: ReadonlySet<number>): void {
    const ledgers = this.#query?.ledgers.all() as { ep: number; top: number }[];
    const tops = new Map(ledgers.map(({ ep, top }) => [ep, top]));
    for (const id of this.setBack) {
      const [epoch = 0, seq = 0] = id.split(":").map(Number);
      if (!known.has(epoch) || this.#lost.get(epoch)?.has(seq) === true || seq <= (tops.get(epoch) ?? 0))
        continue;
      this.#world.fail(`${this.name}: ${id} was set back, and nothing shows that it is missing`);
    }
  }

  /**
   * At the end: every stored event as the receiver's own API shows it, against what was accepted. With `mayBeMute` a
   * dictionary may have been lost together with the file that it came from; nothing may be shown altered even then.
   */
  compare(receiver: Receiver, mayBeMute: boolean): void {
    let mute = 0;
    const orders = new Map<string, number>();
    const seen = new Set<string>();
    let cursor: { epoch: number; after: number } | null = { epoch: 0, after: 0 };
    while (cursor !== null) {
      const page = receiver.events(gatewayId, cursor, 1000);
      mute += page.undecoded.length;
      for (const row of mayBeMute ? [] : page.undecoded)
        this.#world.fail(`${this.name} cannot read ${row.epoch}:${row.first}: ${row.reason}`);
      for (const event of page.events) {
        const id = key(event.epoch, event.seq);
        const accepted = this.#events.get(id);
        if (seen.has(id)) this.#world.fail(`${this.name} shows ${id} twice`);
        seen.add(id);
        if (accepted === undefined)
          return this.#world.fail(`${this.name} shows ${id}, which was never accepted`);
        const content = contentOf(event);
        const isAsItWas = content === accepted.content && event.recordedMs === accepted.recordedMs;
        if (!isAsItWas && !isCorrected(event, accepted, this.#world, this.offsetsMs))
          return this.#world.fail(`${this.name} shows ${id} altered:\n  ${content}\n  ${accepted.content}`);
        if (accepted.order === 0) continue;
        if (accepted.order <= (orders.get(accepted.device) ?? 0))
          this.#world.fail(`${this.name}: ${id} of ${accepted.device} is out of order`);
        orders.set(accepted.device, accepted.order);
      }
      cursor = page.next;
    }
    const stored = [...this.#has.values()].reduce((sum, seqs) => sum + seqs.size, 0);
    if (mute === 0 && stored !== seen.size)
      this.#world.fail(`${this.name} stores ${stored} events and shows ${seen.size}`);
  }
}

function statements(database: Database.Database) {
  return {
    changes: database.prepare("SELECT total_changes()").pluck(),
    batches: database.prepare("SELECT id, ep, take, body FROM batch WHERE id > ? ORDER BY id"),
    losses: database
      .prepare("SELECT count(*) || '/' || coalesce(sum(first), 0) || '/' || coalesce(sum(last), 0) FROM loss")
      .pluck(),
    sealed: database.prepare(
      "SELECT DISTINCT from_ms AS fromMs, min(max(to_ms), from_ms + 3600000) AS toMs FROM seal GROUP BY from_ms ORDER BY from_ms",
    ),
    ledgers: database.prepare("SELECT ep, top FROM ledger"),
    allLosses: database.prepare("SELECT ep, first, last, reason FROM loss"),
  };
}

/** Its times were put right by the clock fixes, and nothing else is different: they are nearer to the truth now. */
function isCorrected(
  event: KerbEvent,
  accepted: Accepted,
  world: World,
  offsetsMs: ReadonlySet<number>,
): boolean {
  const [, , , wasMs, clock] = JSON.parse(accepted.content) as [string, string, string, number, string];
  if (event.clock !== "holdover" || clock === "synced") return false;
  const shiftMs = event.timeMs - wasMs;
  const readings = event.readings?.map((one) => ({
    ...one,
    timeMs: one.timeMs - shiftMs,
    quality: clock === "unsynced" ? one.quality | quality.clockUnsynced : one.quality,
  }));
  const data = event.kind === "gap" ? gapWithout(event.data) : event.data;
  const told = { ...event, clock: clock as KerbEvent["clock"], timeMs: wasMs };
  const before = contentOf({
    ...told,
    ...(readings === undefined ? {} : { readings }),
    ...(data === undefined ? {} : { data }),
  });
  const parts = JSON.parse(accepted.content) as unknown[];
  if (event.kind === "gap") parts[6] = gapWithout(parts[6] as Record<string, unknown>);
  const trueMs = world.trueMs(accepted.atMs);
  // By a proved clock or by one that somebody had set: nobody can tell whether that was right.
  const isKnown = [...offsetsMs].some((offsetMs) => Math.abs(event.recordedMs - trueMs - offsetMs) < 2000);
  return before === JSON.stringify(parts) && isKnown;
}

function gapWithout(data: Record<string, unknown> | undefined): Record<string, unknown> {
  return { ...data, from: 0, to: 0 };
}

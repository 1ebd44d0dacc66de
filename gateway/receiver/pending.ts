import type { Seal } from "../uplink/seal.ts";
import type {
  BatchRow,
  BirthRow,
  DictionaryRow,
  EpochState,
  GatewayState,
  Group,
  RejectedRow,
  SealRow,
} from "./store.ts";

/** A group is committed at 500 batches or 8 MiB at the latest. */
const batchesMax = 500;
const bytesMax = 8 * 1024 * 1024;
/** About the size of a seal. */
const sealBytes = 1000;

function sealKey({ gw, ep, no }: Pick<Seal, "gw" | "ep" | "no">): string {
  return `${gw}/${ep}/${no}`;
}

/** What waits for the next group commit. It is kept until a commit returns. */
export class Pending implements Group {
  batches: BatchRow[] = [];
  epochs = new Set<EpochState>();
  gateways = new Set<GatewayState>();
  dictionaries: DictionaryRow[] = [];
  #seals = new Map<string, SealRow>();
  #births = new Map<string, BirthRow>();
  #rejected = new Map<string, RejectedRow>();
  #bytes = 0;

  get empty(): boolean {
    return (
      this.gateways.size === 0 && this.epochs.size === 0 && this.#rejected.size === 0 && this.#bytes === 0
    );
  }

  get full(): boolean {
    return this.batches.length >= batchesMax || this.#bytes >= bytesMax;
  }

  get seals(): Iterable<SealRow> {
    return this.#seals.values();
  }

  /** The seal of this number that waits for the commit. */
  sealLike(seal: Pick<Seal, "gw" | "ep" | "no">): Seal | undefined {
    return this.#seals.get(sealKey(seal))?.seal;
  }

  get births(): Iterable<BirthRow> {
    return this.#births.values();
  }

  get rejected(): Iterable<RejectedRow> {
    return this.#rejected.values();
  }

  batch(row: BatchRow): void {
    this.batches.push(row);
    this.#bytes += row.body.length;
  }

  dictionary(row: DictionaryRow): void {
    this.dictionaries.push(row);
    this.#bytes += row.body.length;
  }

  seal(row: SealRow): void {
    this.#seals.set(sealKey(row.seal), row);
    this.#bytes += sealBytes;
  }

  birth(row: BirthRow): void {
    this.#births.set(row.gateway, row);
  }

  /** A row of the same gateway and slot takes the place of the older one, here as in the table. */
  reject(row: RejectedRow): void {
    this.#rejected.set(`${row.gateway}/${row.slot}`, row);
  }

  clear(): void {
    for (const { ledger } of this.epochs) ledger.lossesChanged = false;
    this.batches = [];
    this.epochs.clear();
    this.gateways.clear();
    this.dictionaries = [];
    this.#seals.clear();
    this.#births.clear();
    this.#rejected.clear();
    this.#bytes = 0;
  }
}

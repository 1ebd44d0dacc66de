import { createHash, createPrivateKey, createPublicKey, sign, type KeyObject } from "node:crypto";
import { chainStart } from "../uplink/canonical.ts";
import type { Seal } from "../uplink/seal.ts";
import type { Range } from "./ledger.ts";
import { sealOf, type SealCheck, type SealName } from "./seal-check.ts";
import type { Columns, Store } from "./store.ts";

type CertificateState = "complete" | "complete-with-declared-loss" | "gap" | "unsealed";

/** Why a certificate is not `complete`; the command line has the words. */
export type FindingCode =
  | "not-over"
  | "no-seal"
  | "box-off"
  | "not-checked"
  | "not-ended"
  | "not-followed"
  | "missing"
  | "vanished"
  | "altered"
  | "repeated"
  | "unreadable"
  | "seal-missing"
  | "chain-broken";

/** `from`, `to`: event numbers of `epoch`; `seal`: number of a seal in it. */
export interface Finding {
  code: FindingCode;
  epoch?: number;
  seal?: number;
  from?: number;
  to?: number;
  reason?: string;
}

/** Counts of one device; null where no report of its polls has come. `unknown`: times without one, ISO 8601. */
export interface DeviceCounts {
  device: string;
  events: number;
  polls: number | null;
  answered: number | null;
  failed: number | null;
  missed: number | null;
  unknown: [from: string, to: string][];
}

/**
 * What the receiver says of one gateway and one period, from the seals and the stored events. `tampered`: stored
 * events or seals are not what the gateway sealed. `key`, `signature`: Ed25519 over the JSON text without the two.
 */
export interface Certificate {
  v: 1;
  gateway: string;
  from: string;
  to: string;
  state: CertificateState;
  tampered: boolean;
  events: number;
  lost: { epoch: number; from: number; to: number; reason: string }[];
  findings: Finding[];
  seals: { epoch: number; no: number; from: number; to: number; h: string }[];
  clock: "synced" | "holdover" | "unsynced" | null;
  devices: DeviceCounts[];
  off: { from: string; to: string }[];
  checked: string | null;
  key?: string;
  signature?: string;
}

/** One page; `next` = where the following one begins, null at the end. */
export interface CertificatePage {
  certificates: Certificate[];
  next: string | null;
}

/** Signs certificates. Throws when the PEM text holds no Ed25519 private key. */
export class Signer {
  readonly #key: KeyObject;
  /** First 16 hex digits of SHA-256 of the public key (SPKI, DER), and it as PEM. */
  readonly id: string;
  readonly publicKey: string;

  constructor(pem: string | Buffer) {
    this.#key = createPrivateKey(pem);
    if (this.#key.asymmetricKeyType !== "ed25519") throw new Error("the key is not an Ed25519 one");
    const open = createPublicKey(this.#key);
    this.publicKey = open.export({ type: "spki", format: "pem" }).toString();
    this.id = createHash("sha256")
      .update(open.export({ type: "spki", format: "der" }))
      .digest("hex")
      .slice(0, 16);
  }

  sign(certificate: Certificate): Certificate {
    const signature = sign(null, Buffer.from(JSON.stringify(certificate)), this.#key);
    return { ...certificate, key: this.id, signature: signature.toString("base64") };
  }
}

interface StoredSeal {
  seal: Seal;
  ok: boolean | undefined;
  check: SealCheck | undefined;
}

const hourMs = 3_600_000;
export const periodsMax = 168;
const dayMs = 24 * hourMs;
/** A seal over evicted hours may span this much. */
const spanMax = 31 * dayMs;
const sealsMax = 1000;
const listMax = 64;
const devicesMax = 5000;
const clocks = ["synced", "holdover", "unsynced"] as const;
const tamperings: readonly FindingCode[] = ["vanished", "altered", "repeated", "unreadable", "chain-broken"];
const gaps: readonly FindingCode[] = [...tamperings, "missing", "seal-missing"];

/**
 * Issues certificates. They are made when they are asked for, from the stored seals and what the checks found, so
 * that a late fill, a seal that comes after all or a new check shows at once.
 */
export class Certificates {
  readonly #store: Store;
  readonly #signer: Signer | undefined;

  constructor(store: Store, signer: Signer | undefined) {
    this.#store = store;
    this.#signer = signer;
  }

  get signer(): Signer | undefined {
    return this.#signer;
  }

  /** The highest number up to which every seal of an epoch is stored. */
  sealsOf(gateway: string, epoch: number): number {
    const [row] = this.#store.all(
      `SELECT min(no) AS top FROM seal s WHERE gw = ? AND ep = ?
         AND NOT EXISTS (SELECT 1 FROM seal t WHERE t.gw = s.gw AND t.ep = s.ep AND t.no = s.no + 1)
         AND EXISTS (SELECT 1 FROM seal t WHERE t.gw = s.gw AND t.ep = s.ep AND t.no = 1)`,
      gateway,
      epoch,
    );
    return (row?.["top"] ?? 0) as number;
  }

  /** The stored seal of this number. */
  seal(gateway: string, epoch: number, no: number): Seal | undefined {
    return this.#sealAt(gateway, epoch, no)?.seal;
  }

  /** The seals of a time span, oldest first. */
  sealsIn(gateway: string, fromMs: number, toMs: number): SealName[] {
    const seals = this.#sealsOver(gateway, fromMs, toMs, sealsMax);
    return seals.map(({ seal: { ep, no } }) => ({ gateway, epoch: ep, no }));
  }

  /** Length of the newest seal's period, or an hour. */
  periodMs(gateway: string): number {
    const sql = "SELECT * FROM seal WHERE gw = ? ORDER BY from_ms DESC LIMIT 8";
    const [newest] = stored(this.#store.all(sql, gateway));
    return newest?.seal.every ?? hourMs;
  }

  /** The first time of which anything of the gateway is known; undefined: nothing is. */
  beginMs(gateway: string): number | undefined {
    const [seal] = this.#store.all("SELECT min(from_ms) AS ms FROM seal WHERE gw = ?", gateway);
    const [batch] = this.#store.all(
      "SELECT received_ms AS ms FROM batch WHERE gw = ? ORDER BY ep, first LIMIT 1",
      gateway,
    );
    const times = [seal?.["ms"], batch?.["ms"]].filter((ms) => typeof ms === "number");
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /**
   * The certificates of the periods from `fromMs` (default: a day ago, or since the gateway is known) to `toMs`
   * (default: what is over), at most `limit`.
   */
  page(
    gateway: string,
    fromMs: number | undefined,
    toMs: number | undefined,
    limit: number,
  ): CertificatePage {
    const every = this.periodMs(gateway);
    const nowMs = Date.now();
    const begin = fromMs ?? Math.max(nowMs - dayMs, this.beginMs(gateway) ?? nowMs);
    const first = Math.floor(begin / every) * every;
    const end = toMs ?? Math.floor(nowMs / every) * every;
    const wanted = Math.max(0, Math.min(limit, Math.ceil((end - first) / every)));
    const seals = this.#sealsOver(gateway, first, first + wanted * every, sealsMax);
    // Seals that are many make a page short, never an incomplete one.
    const cutMs = seals.length < sealsMax ? Infinity : (seals.at(-1)?.seal.fromMs ?? first);
    const count = Math.max(Math.min(1, wanted), Math.min(wanted, Math.floor((cutMs - first) / every)));
    const last = first + count * every;
    const certificates = Array.from({ length: count }, (_, i) => {
      const from = first + i * every;
      const own = seals.filter(({ seal }) => seal.fromMs < from + every && seal.toMs > from);
      const certificate = this.#issue(gateway, [from, from + every], own, nowMs);
      return this.#signer?.sign(certificate) ?? certificate;
    });
    return { certificates, next: last < end ? iso(last) : null };
  }

  #issue(gateway: string, period: Range, seals: StoredSeal[], nowMs: number): Certificate {
    const [fromMs, toMs] = period;
    const off = this.#off(gateway, period);
    const findings = seals.flatMap((one) => [
      ...checkFindings(one),
      ...this.#before(one),
      ...this.#after(one),
    ]);
    findings.push(...this.#coverage(gateway, period, seals, off, nowMs));
    const has = (codes: readonly FindingCode[]) => findings.some(({ code }) => codes.includes(code));
    const lost = seals.flatMap(({ seal }) =>
      seal.tomb.map(([from, to, reason]) => ({ epoch: seal.ep, from, to, reason })),
    );
    const lossless = lost.length === 0 ? "complete" : "complete-with-declared-loss";
    const state = has(gaps) ? "gap" : findings.length > 0 ? "unsealed" : lossless;
    const checked = seals.map(({ check }) => check?.checkedMs ?? Infinity);
    const isChecked = seals.length > 0 && checked.every((ms) => ms < Infinity);
    return {
      v: 1,
      gateway,
      from: iso(fromMs),
      to: iso(toMs),
      state,
      tampered: has(tamperings),
      events: seals.reduce((sum, { check }) => sum + (check?.events ?? 0), 0),
      lost: lost.slice(0, listMax),
      findings: findings.slice(0, listMax),
      seals: seals
        .map(({ seal: { ep, no, from, to, h } }) => ({ epoch: ep, no, from, to, h }))
        .slice(0, listMax),
      clock:
        seals.length === 0 ? null : (clocks[Math.max(...seals.map(({ seal }) => seal.clock))] ?? "unsynced"),
      devices: this.#devices(gateway, period, seals),
      off: off.map(([from, to]) => ({ from: iso(from), to: iso(to) })),
      checked: isChecked ? iso(Math.min(...checked)) : null,
    };
  }

  /** Whether a seal follows the one before it, also over the border of an epoch. */
  #before({ seal }: StoredSeal): Finding[] {
    const { gw, ep, no, prev, from, after } = seal;
    const broken: Finding = { code: "chain-broken", epoch: ep, seal: no };
    if (no > 1) {
      const before = this.#sealAt(gw, ep, no - 1);
      if (before === undefined) return [{ code: "seal-missing", epoch: ep, seal: no - 1 }];
      return before.seal.h === prev && before.seal.to + 1 === from ? [] : [broken];
    }
    if (prev !== chainStart(gw, ep).toString("hex")) return [broken];
    if (after === undefined) return [];
    const [epoch, last] = after;
    const end = this.#lastSeal(gw, epoch);
    if (end?.seal.end !== true) return [{ code: "not-ended", epoch, to: last }];
    return end.seal.to === last ? [] : [{ code: "chain-broken", epoch, seal: end.seal.no }];
  }

  /** Whether the seal after this one follows it. The newest one has none, and that is right. */
  #after({ seal }: StoredSeal): Finding[] {
    const { gw, ep, no, h } = seal;
    const next = this.#sealAt(gw, ep, no + 1);
    if (next !== undefined)
      return next.seal.prev === h && seal.end !== true
        ? []
        : [{ code: "chain-broken", epoch: ep, seal: no + 1 }];
    const last = this.#lastSeal(gw, ep);
    return last !== undefined && last.seal.no > no ? [{ code: "seal-missing", epoch: ep, seal: no + 1 }] : [];
  }

  /** What of the period no seal is for. */
  #coverage(
    gateway: string,
    [fromMs, toMs]: Range,
    seals: StoredSeal[],
    off: Range[],
    nowMs: number,
  ): Finding[] {
    if (toMs > nowMs) return [{ code: "not-over" }];
    const sealed = seals.map(({ seal }): Range => [seal.fromMs, seal.toMs]);
    if (uncovered([fromMs, toMs], [...sealed, ...off]).length > 0) return [{ code: "no-seal" }];
    if (seals.length === 0) return [{ code: "box-off" }];
    // After the end of an epoch the rest of the period belongs to the next one, or the box was off.
    const last = seals.reduce((a, b) => ((a.seal.ep - b.seal.ep || a.seal.no - b.seal.no) > 0 ? a : b)).seal;
    if (last.end !== true) return [];
    const sql = "SELECT * FROM seal WHERE gw = ? AND ep > ? AND no = 1 ORDER BY ep LIMIT 8";
    const follows = stored(this.#store.all(sql, gateway, last.ep));
    return follows.some(({ seal }) => seal.after?.[0] === last.ep)
      ? []
      : [{ code: "not-followed", epoch: last.ep, to: last.to }];
  }

  #devices(gateway: string, period: Range, seals: StoredSeal[]): DeviceCounts[] {
    const [fromMs, toMs] = period;
    const rows = this.#store.all(
      "SELECT * FROM polls WHERE gw = ? AND from_ms >= ? AND from_ms < ? AND to_ms <= ? LIMIT ?",
      gateway,
      fromMs,
      toMs,
      toMs,
      devicesMax,
    );
    const counts = new Map<string, DeviceCounts & { covered: Range[] }>();
    const of = (device: string) => {
      const known = counts.get(device);
      if (known !== undefined) return known;
      const fresh = { device, events: 0, polls: null, answered: null, failed: null, missed: null };
      const made = { ...fresh, unknown: [], covered: [] };
      counts.set(device, made);
      return made;
    };
    for (const { check } of seals) {
      for (const [device, events] of Object.entries(check?.devices ?? {})) of(device).events += events;
    }
    for (const row of rows) {
      const one = of(row["device"] as string);
      for (const name of ["polls", "answered", "failed", "missed"] as const)
        one[name] = (one[name] ?? 0) + (row[name] as number);
      one.covered.push([row["from_ms"] as number, row["to_ms"] as number]);
    }
    counts.delete(gateway);
    return [...counts.values()]
      .sort((a, b) => (a.device < b.device ? -1 : 1))
      .slice(0, devicesMax)
      .map(({ covered, ...one }) => ({
        ...one,
        unknown: uncovered(period, covered).map(([from, to]): [string, string] => [iso(from), iso(to)]),
      }));
  }

  #off(gateway: string, [fromMs, toMs]: Range): Range[] {
    return this.#store
      .all(
        "SELECT from_ms, to_ms FROM box_off WHERE gw = ? AND from_ms < ? AND to_ms > ? ORDER BY from_ms LIMIT ?",
        gateway,
        toMs,
        fromMs,
        listMax,
      )
      .map((row): Range => [row["from_ms"] as number, row["to_ms"] as number]);
  }

  #sealsOver(gateway: string, fromMs: number, toMs: number, limit: number): StoredSeal[] {
    const sql = `SELECT * FROM seal WHERE gw = ? AND from_ms > ? AND from_ms < ? AND to_ms > ?
      ORDER BY from_ms, ep, no LIMIT ?`;
    return stored(this.#store.all(sql, gateway, fromMs - spanMax, toMs, fromMs, limit));
  }

  #sealAt(gateway: string, epoch: number, no: number): StoredSeal | undefined {
    const sql = "SELECT * FROM seal WHERE gw = ? AND ep = ? AND no = ?";
    return stored(this.#store.all(sql, gateway, epoch, no))[0];
  }

  #lastSeal(gateway: string, epoch: number): StoredSeal | undefined {
    const sql = "SELECT * FROM seal WHERE gw = ? AND ep = ? ORDER BY no DESC LIMIT 1";
    return stored(this.#store.all(sql, gateway, epoch))[0];
  }
}

/** Rows of seals that are as they were written; of others nothing is believed. */
function stored(rows: readonly Columns[]): StoredSeal[] {
  return rows.flatMap((row) => {
    const seal = sealOf(row);
    return seal === undefined ? [] : [storedSeal(row, seal)];
  });
}

function storedSeal(row: Columns, seal: Seal): StoredSeal {
  return {
    seal,
    ok: row["ok"] === null ? undefined : row["ok"] === 1,
    check: row["checked"] === null ? undefined : (JSON.parse(row["checked"] as string) as SealCheck),
  };
}

function checkFindings({ seal, ok, check }: StoredSeal): Finding[] {
  const epoch = seal.ep;
  if (ok === undefined || check === undefined) return [{ code: "not-checked", epoch, seal: seal.no }];
  if (ok) return [];
  const ranges = (code: FindingCode, list: readonly Range[]) =>
    list.map(([from, to]): Finding => ({ code, epoch, from, to }));
  return [
    ...check.unreadable.map(({ range: [from, to], reason }): Finding => ({
      code: "unreadable",
      epoch,
      from,
      to,
      reason,
    })),
    ...ranges("missing", check.missing),
    ...ranges("vanished", check.vanished),
    ...ranges("repeated", check.repeated),
    ...(check.isChainEqual === false ? ranges("altered", [[seal.from, seal.to]]) : []),
  ];
}

/** The parts of a span that none of the ranges (from included, to not) covers. */
function uncovered([from, to]: Range, ranges: readonly Range[]): Range[] {
  const parts: Range[] = [];
  let at = from;
  for (const [a, b] of ranges.toSorted((x, y) => x[0] - y[0])) {
    if (a > at && a < to) parts.push([at, a]);
    at = Math.max(at, b);
  }
  if (at < to) parts.push([at, to]);
  return parts;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

import type { Varbind } from "net-snmp";
import type { Answer, PointRequest, Reading, ReadResult } from "../../gateway/driver.ts";
import { rowsMax, type Fetched } from "./fetch.ts";
import { messageOid } from "./sign-objects.ts";
import type { Address, Settings } from "./settings.ts";
import { bad, bitOf, decode, rawOf, type Charset } from "./values.ts";

type Points = readonly PointRequest<Address>[];

/** Answers that arrived within this time need no times of their own. */
const momentMs = 10;
/** Cycles over which the measured one is averaged. */
const cyclesMax = 8;

/** Which objects a list of points needs, and what their values mean. */
export class Plan {
  readonly oids: readonly string[];
  readonly walks: readonly string[];
  /** Points that need the row, while it is not known. */
  readonly needsRow: boolean;
  readonly row: string | undefined;
  readonly #points: Points;
  readonly #settings: Settings;
  /** States that were odd in the read before, and still odd when asked again: nothing is torn there. */
  #odd = new Set<number>();
  readonly #cyclesMs: number[] = [];
  #begunMs: number | undefined;

  constructor(points: Points, settings: Settings, row: string | undefined) {
    this.#points = points;
    this.#settings = settings;
    this.row = row;
    const all = points.flatMap(({ address }) => objectsOf(address));
    this.needsRow = row === undefined && all.some((oid) => oid.includes("{row}"));
    this.oids = [...new Set(all.flatMap((oid) => this.#placed(oid) ?? []))];
    this.walks = [...new Set(points.flatMap(({ address }) => address.walk ?? []))];
  }

  #placed(oid: string): string | undefined {
    if (!oid.includes("{row}")) return oid;
    return this.row === undefined ? undefined : oid.replace("{row}", this.row);
  }

  begin(): void {
    const nowMs = performance.now();
    if (this.#begunMs !== undefined) this.#cyclesMs.push(nowMs - this.#begunMs);
    if (this.#cyclesMs.length > cyclesMax) this.#cyclesMs.shift();
    this.#begunMs = nowMs;
  }

  /**
   * Objects of signals that seem to show no state or several, when they came in different requests: the signal may
   * have changed between them. Signals that were odd before are not asked about again.
   */
  torn(found: ReadonlyMap<string, Fetched>): string[] {
    const again = new Set<string>();
    this.#points.forEach(({ address }, index) => {
      if (address.states === undefined) return;
      const shown = this.#shownStates(address, found);
      if (Array.isArray(shown) && shown.length === 1) this.#odd.delete(index);
      else if (Array.isArray(shown) && !this.#odd.has(index))
        for (const oid of Object.values(address.states)) again.add(this.#placed(oid) ?? oid);
    });
    return [...again];
  }

  result(
    found: ReadonlyMap<string, Fetched>,
    rows: ReadonlyMap<string, Varbind[] | Reading>,
    requests: number,
    withRaw: boolean,
  ): ReadResult {
    const nowMs = performance.now();
    const times = this.#points.map(({ address }) => this.#arrival(address, found) ?? nowMs);
    const answers = this.#points.map(({ address }, index) => {
      const answer = this.#answer(address, index, found, rows);
      return withRaw ? this.#withRaw(answer, address, found) : answer;
    });
    const isOneMoment = requests <= 1 || Math.max(...times) - Math.min(...times) < momentMs;
    return isOneMoment ? { answers } : { answers, atMs: times };
  }

  #answer(
    address: Address,
    index: number,
    found: ReadonlyMap<string, Fetched>,
    rows: ReadonlyMap<string, Varbind[] | Reading>,
  ): Answer {
    if (address.measure !== undefined) return this.#measured(address.measure);
    if (address.notification !== undefined) return bad("not-a-point", "notifications are told, not read");
    if (address.walk !== undefined) return walked(address, rows.get(address.walk), this.#settings.charset);
    if (address.states !== undefined) return this.#state(address, index, found);
    const [oid = ""] = objectsOf(address);
    const placed = this.#placed(oid);
    if (placed === undefined) return bad("no-row", "the device has no row for {row}");
    const { varbind, problem } = found.get(placed) ?? {};
    if (varbind === undefined) return problem ?? bad("timeout", "not asked");
    return decode(
      varbind,
      asRead(address),
      address.sign === undefined ? this.#settings.charset : this.#signCharset(),
    );
  }

  #signCharset(): Charset {
    return this.#settings.sign.charset;
  }

  /** Names of the states whose bit is set, or why that is not known. */
  #shownStates(
    { states = {}, bit = 0, order }: Address,
    found: ReadonlyMap<string, Fetched>,
  ): string[] | Reading {
    const shown: string[] = [];
    for (const [name, oid] of Object.entries(states)) {
      const placed = this.#placed(oid);
      if (placed === undefined) return bad("no-row", "the device has no row for {row}");
      const { varbind, problem } = found.get(placed) ?? {};
      if (varbind === undefined) return problem ?? bad("timeout", "not asked");
      const isSet = bitOf(varbind, bit, order);
      if (isSet === undefined) return bad("not-a-bitmap", `no bit ${bit} in ${placed}`);
      if (isSet) shown.push(name);
    }
    return shown;
  }

  #state(address: Address, index: number, found: ReadonlyMap<string, Fetched>): Answer {
    const shown = this.#shownStates(address, found);
    if (!Array.isArray(shown)) return shown;
    const [state] = shown;
    if (shown.length === 1 && state !== undefined) return state;
    this.#odd.add(index);
    if (state === undefined)
      return {
        value: "dark",
        status: "uncertain",
        code: "no-state",
        reason: "no state of this signal is set",
      };
    return bad("conflicting-states", `${shown.join(" and ")} at once`);
  }

  #measured(what: NonNullable<Address["measure"]>): number {
    if (what === "sweep") return (performance.now() - (this.#begunMs ?? performance.now())) / 1000;
    const { length } = this.#cyclesMs;
    return length === 0 ? 0 : this.#cyclesMs.reduce((sum, ms) => sum + ms, 0) / length / 1000;
  }

  #arrival(address: Address, found: ReadonlyMap<string, Fetched>): number | undefined {
    const times = objectsOf(address).flatMap((oid) => found.get(this.#placed(oid) ?? oid)?.atMs ?? []);
    return times.length === 0 ? undefined : Math.max(...times);
  }

  #withRaw(answer: Answer, address: Address, found: ReadonlyMap<string, Fetched>): Answer {
    const parts = objectsOf(address).flatMap((oid) => {
      const { varbind } = found.get(this.#placed(oid) ?? oid) ?? {};
      return varbind === undefined ? [] : [rawOf(varbind)];
    });
    if (parts.length === 0) return answer;
    const raw = new Uint8Array(Buffer.concat(parts));
    return typeof answer === "object" ? { ...answer, raw } : { value: answer, status: "good", raw };
  }
}

function objectsOf({ oid, states, sign }: Address): string[] {
  if (sign !== undefined) return [messageOid];
  return states === undefined ? (oid === undefined ? [] : [oid]) : Object.values(states);
}

const asRead = (address: Address): Address =>
  address.sign === undefined ? address : { ...address, type: "text" };

function walked(address: Address, rows: Varbind[] | Reading | undefined, charset: Charset): Answer {
  if (rows === undefined) return bad("timeout", "not asked");
  if (!Array.isArray(rows)) return rows;
  const texts = rows.slice(0, rowsMax).map((row) => decode(row, address, charset));
  const value =
    address.take === "count"
      ? texts.length
      : texts.map((one) => String(typeof one === "object" ? (one.value ?? "?") : one)).join(", ");
  if (rows.length <= rowsMax) return value;
  return { value, status: "uncertain", code: "more-rows", reason: `the table has more than ${rowsMax} rows` };
}

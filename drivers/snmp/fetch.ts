import type { Varbind } from "net-snmp";
import { DeviceError, type Reading } from "../../gateway/driver.ts";
import type { Client } from "./client.ts";
import { noSuchName, Refusal, statusName, tooBig } from "./errors.ts";
import { bad, exceptionOf } from "./values.ts";

/** Unanswered requests after which a read asks no further ones. */
const lostMax = 2;
/** Rows of a table that a walk looks at, and how many it asks for at once where the device stands so many. */
export const rowsMax = 256;
const rowsPerRequest = 10;

/** What became of one object: its value, or why there is none. */
export interface Fetched {
  readonly varbind?: Varbind;
  readonly problem?: Reading;
  /** `performance.now()` at the arrival. */
  readonly atMs: number;
}

/** One read's requests and their fate. */
interface Round {
  readonly found: Map<string, Fetched>;
  readonly signal: AbortSignal;
  requests: number;
  answered: number;
  lost: number;
  error: DeviceError | undefined;
  /** Objects whose request was lost. */
  readonly unanswered: string[];
}

/** Asks one device for objects in as few requests as it stands, and finds those that spoil a request for others. */
export class Fetcher {
  readonly #client: Client;
  #perRequest: number;
  /** Objects for which the device refused a whole request: they are asked for alone from then on. */
  readonly #alone = new Set<string>();
  /** Objects of requests that were lost while others were answered: they are asked last and alone. */
  readonly #mute = new Set<string>();

  constructor(client: Client, maxOidsPerPdu: number) {
    this.#client = client;
    this.#perRequest = maxOidsPerPdu;
  }

  /** All objects by OID, and how many requests it took. Throws the `DeviceError` of a device that is lost. */
  async fetch(
    oids: readonly string[],
    walks: readonly string[],
    signal: AbortSignal,
  ): Promise<{ found: Map<string, Fetched>; rows: Map<string, Varbind[] | Reading>; requests: number }> {
    const none = { requests: 0, answered: 0, lost: 0, error: undefined };
    const round: Round = { found: new Map(), signal, unanswered: [], ...none };
    await this.#askAll(round, this.#requestsFor(oids), lostMax);
    const mute = [...this.#mute].filter((oid) => oids.includes(oid)).map((oid) => [oid]);
    // One that does not answer costs each read a timeout: not more than one does.
    await this.#askAll(round, mute, round.answered > 0 ? round.lost + 1 : lostMax);
    if (round.answered > 0) this.#rememberMute(round);
    const rows = new Map<string, Varbind[] | Reading>();
    for (const column of walks) rows.set(column, await this.#walk(round, column));
    if (round.answered === 0 && round.error !== undefined) throw round.error;
    return { found: round.found, rows, requests: round.requests };
  }

  async #askAll(round: Round, queue: string[][], mayLose: number): Promise<void> {
    let next = queue.shift();
    while (next !== undefined) {
      if (round.lost >= mayLose)
        this.#settle(round, next, bad("timeout", "not asked: earlier requests were lost"));
      else queue.unshift(...(await this.#ask(round, next)));
      // The device may only have no answer to these objects: the other end of the list may tell.
      next = round.answered === 0 && round.lost > 0 ? queue.pop() : queue.shift();
    }
  }

  #rememberMute({ found, unanswered }: Round): void {
    for (const [oid, { problem }] of found) if (problem?.code !== "timeout") this.#mute.delete(oid);
    for (const oid of unanswered) {
      // The others have their turn first.
      this.#mute.delete(oid);
      this.#mute.add(oid);
    }
  }

  #requestsFor(oids: readonly string[]): string[][] {
    const told = oids.filter((oid) => !this.#mute.has(oid));
    const together = told.filter((oid) => !this.#alone.has(oid));
    const alone = told.filter((oid) => this.#alone.has(oid)).map((oid) => [oid]);
    const requests: string[][] = [];
    for (let at = 0; at < together.length; at += this.#perRequest)
      requests.push(together.slice(at, at + this.#perRequest));
    return [...requests, ...alone];
  }

  /** Sends one request; gives back those that must be sent in its place. */
  async #ask(round: Round, oids: string[]): Promise<string[][]> {
    round.requests++;
    try {
      const varbinds = await this.#client.get(oids, round.signal);
      round.answered++;
      this.#take(round, oids, varbinds);
      return [];
    } catch (error) {
      if (error instanceof Refusal) {
        round.answered++;
        return this.#afterRefusal(round, oids, error);
      }
      this.#lose(round, error);
      round.unanswered.push(...oids);
      const code = (error as DeviceError).code === "garbage" ? "garbage" : "timeout";
      this.#settle(round, oids, bad(code, (error as DeviceError).message));
      return [];
    }
  }

  #take(round: Round, oids: readonly string[], varbinds: readonly Varbind[]): void {
    const atMs = performance.now();
    oids.forEach((oid, index) => {
      const own = varbinds[index]?.oid === oid ? varbinds[index] : varbinds.find((one) => one.oid === oid);
      if (own === undefined) {
        this.#settle(round, [oid], bad("wrong-object", `answered with ${varbinds[index]?.oid ?? "nothing"}`));
        return;
      }
      const problem = exceptionOf(own);
      round.found.set(oid, problem === undefined ? { varbind: own, atMs } : { problem, atMs });
    });
  }

  #afterRefusal(round: Round, oids: string[], { status, oid }: Refusal): string[][] {
    const half = Math.ceil(oids.length / 2);
    if (oids.length === 1) {
      this.#settle(round, oids, bad(statusName(status), "the device refuses this object"));
      return [];
    }
    if (status === tooBig) {
      this.#perRequest = Math.min(this.#perRequest, half);
    } else if (oid !== undefined && oids.includes(oid)) {
      // One that is asked alone says what it has itself, also when it is there again.
      if (status === noSuchName) this.#alone.add(oid);
      this.#settle(round, [oid], bad(statusName(status), "the device refuses this object"));
      return [oids.filter((one) => one !== oid)];
    }
    return [oids.slice(0, half), oids.slice(half)];
  }

  /** An unanswered request is a loss; everything else ends the read. */
  #lose(round: Round, error: unknown): void {
    const isLoss = error instanceof DeviceError && (error.code === "silent" || error.code === "garbage");
    if (!isLoss) throw error;
    round.lost++;
    round.error ??= error;
  }

  #settle({ found }: Round, oids: readonly string[], problem: Reading): void {
    for (const oid of oids) found.set(oid, { problem, atMs: performance.now() });
  }

  /** The rows of a column, one more than `rowsMax` where there are more. */
  async #walk(round: Round, column: string): Promise<Varbind[] | Reading> {
    const rows: Varbind[] = [];
    let at = column;
    while (rows.length <= rowsMax) {
      if (round.lost >= lostMax) return bad("timeout", "not asked: earlier requests were lost");
      round.requests++;
      const count = Math.min(rowsPerRequest, this.#perRequest);
      try {
        const answer = await this.#client.following(at, count, round.signal);
        round.answered++;
        for (const one of answer) {
          if (!one.oid.startsWith(`${column}.`) || exceptionOf(one)?.code === "endOfMibView") return rows;
          if (!isBehind(one.oid, at)) return bad("not-in-order", `${one.oid} comes after ${at}`);
          rows.push(one);
          at = one.oid;
        }
        if (answer.length === 0) return rows;
      } catch (error) {
        const problem = this.#walkProblem(round, count, error);
        if (problem !== undefined)
          return error instanceof Refusal && error.status === noSuchName ? rows : problem;
      }
    }
    return rows;
  }

  /** Why a walk ends; undefined: the same is asked again, for fewer rows at once. */
  #walkProblem(round: Round, count: number, error: unknown): Reading | undefined {
    if (error instanceof Refusal) {
      round.answered++;
      if (error.status !== tooBig || count === 1)
        return bad(statusName(error.status), "the device refuses this table");
      this.#perRequest = Math.ceil(count / 2);
      return undefined;
    }
    this.#lose(round, error);
    const { code, message } = error as DeviceError;
    return bad(code === "garbage" ? "garbage" : "timeout", message);
  }
}

/** Is OID a behind OID b? */
export function isBehind(a: string, b: string): boolean {
  const left = a.split(".").map(Number);
  const right = b.split(".").map(Number);
  for (let i = 0; i < left.length; i++) {
    const difference = left[i]! - (right[i] ?? -1);
    if (difference !== 0) return difference > 0;
  }
  return false;
}

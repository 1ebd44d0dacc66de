import type { Varbind } from "net-snmp";
import {
  DeviceError,
  type Browsed,
  type BrowseRequest,
  type Guess,
  type LeftOut,
} from "../../gateway/driver.ts";
import { noSuchName, Refusal, statusName, tooBig } from "./errors.ts";
import { isBehind } from "./fetch.ts";
import type { Settings } from "./settings.ts";
import { decode, exceptionOf, numberOf, textOf, types } from "./values.ts";

/** Lists the objects of an agent: a walk over its tree, with types by the tags of the values (RFC 3416, 4.2.2). */

type Following = (oid: string, count: number) => Promise<Varbind[]>;
interface Asks {
  following: Following;
  get(oid: string): Promise<Varbind[]>;
}

const mib2 = "1.3.6.1.2.1";
const enterprises = "1.3.6.1.4.1";
const roots = [mib2, enterprises] as const;
/**
 * What every agent has of itself and its network: system (`identify` asks it), interfaces, at, ip, icmp, tcp, udp,
 * egp, transmission, snmp, ifMIB, snmpMIBs of 1.3.6.1.6.
 */
const standard = [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 31].map((group) => `${mib2}.${group}`);
const rowsPerRequest = 10;
const objectsMax = 20_000;
const triesMax = 2;
const namePartsBelow = 2;
const oidPattern = /^\.?1\.3(\.\d{1,10}){0,60}$/;

const isUnder = (oid: string, root: string): boolean => oid === root || oid.startsWith(`${root}.`);

/** The first OID behind everything under this one. */
function sibling(oid: string): string {
  const arcs = oid.split(".");
  return [...arcs.slice(0, -1), Number(arcs.at(-1)) + 1].join(".");
}

interface Tag {
  name: string;
  type: "number" | "text" | "hex" | "oid";
  syntax?: string;
  unit?: string;
}

const tags = new Map<number, Tag>([
  [types.integer ?? -1, { name: "INTEGER", type: "number" }],
  [types.gauge ?? -2, { name: "Gauge32", type: "number", syntax: "gauge" }],
  [types.counter ?? -3, { name: "Counter32", type: "number", syntax: "counter" }],
  [types.counter64 ?? -4, { name: "Counter64", type: "number", syntax: "counter64" }],
  [types.ticks ?? -5, { name: "TimeTicks", type: "number", syntax: "ticks", unit: "1/100 s" }],
  [types.opaque ?? -6, { name: "Opaque float", type: "number", syntax: "float" }],
  [types.ip ?? -7, { name: "IpAddress", type: "text", syntax: "ip" }],
  [types.oid ?? -8, { name: "OBJECT IDENTIFIER", type: "oid" }],
]);

/** What is as long as an address or a time (4, 6, 8, 11 octets: RFC 2579) may be text by chance only. */
const binaryLengths: readonly number[] = [4, 6, 8, 11];

/** Octets are text, or bytes; a text that is a number may be one. */
function octetsTag(varbind: Varbind, charset: Settings["charset"]): Tag[] {
  const { value } = varbind;
  const bytes = Buffer.isBuffer(value) ? value : Buffer.alloc(0);
  const isText =
    /^[\t\n\r -~\u{a0}-\u{ffff}]*$/u.test(textOf(bytes, charset)) && !bytes.subarray(0, -1).includes(0);
  const text: Tag = { name: "OCTET STRING", type: isText ? "text" : "hex" };
  if (!isText) return [text];
  if (numberOf(varbind) === undefined)
    return binaryLengths.includes(bytes.length) ? [text, { ...text, type: "hex" }] : [text];
  return [{ name: "OCTET STRING", type: "number", syntax: "octets" }, text];
}

/** "mib-2.33.1.2", "enterprises.48690.2": where an object is, in the words of those who write MIBs. */
function pathOf(oid: string): string[] {
  const [root, name] = isUnder(oid, enterprises)
    ? [enterprises, "enterprises"]
    : isUnder(oid, mib2)
      ? [mib2, "mib-2"]
      : ["1.3.6.1", "internet"];
  const arcs = isUnder(oid, root) ? oid.slice(root.length + 1).split(".") : oid.split(".");
  const above = arcs.slice(0, -namePartsBelow);
  return [[name, ...above].join("."), arcs.slice(-namePartsBelow).join(".")];
}

const whys = ["the text is a number", "all of its octets are letters, and it has few"] as const;

function entryOf(varbind: Varbind, charset: Settings["charset"]): Browsed {
  const { oid, type } = varbind;
  const told = tags.get(type ?? types.octets ?? 4);
  const ways = told === undefined ? octetsTag(varbind, charset) : [told];
  const guesses: Guess[] = ways.map(({ name, type: kind, syntax }) => {
    const address = { oid, type: kind, ...(syntax === undefined ? {} : { syntax }) };
    const answer = decode(varbind, { ...address, syntax: undefined }, charset);
    return { address, type: ways.length > 1 ? `${kind} (${name})` : name, answer };
  });
  const [best] = guesses;
  const unit = ways[0]?.unit;
  return {
    what: "value",
    path: pathOf(oid),
    ...(best === undefined ? {} : { address: best.address, type: best.type, answer: best.answer }),
    ...(unit === undefined ? {} : { unit: { text: unit } }),
    ...(ways.length > 1
      ? {
          guesses: guesses.map((one, i) =>
            i > 0 ? one : { ...one, why: whys[best?.address["type"] === "number" ? 0 : 1] },
          ),
        }
      : {}),
  };
}

/** One walk, and what came of it. */
class Walk {
  readonly left: LeftOut[] = [];
  /** How many were found. */
  objects = 0;
  readonly #settings: Settings;
  readonly #request: BrowseRequest;
  readonly #following: Following;
  #rows: number;

  constructor(settings: Settings, request: BrowseRequest, following: Following) {
    this.#settings = settings;
    this.#request = request;
    this.#following = following;
    this.#rows = Math.min(rowsPerRequest, settings.maxOidsPerPdu);
  }

  async *run(from: string | undefined): AsyncGenerator<Browsed> {
    for (const root of from === undefined ? roots : [from])
      yield* this.#below(root, from === undefined ? standard : []);
    if (from === undefined) this.left.push({ left: "standard", place: mib2 });
  }

  async *#below(root: string, skipped: readonly string[]): AsyncGenerator<Browsed> {
    let at = root;
    while (!this.#isOver()) {
      const found = await this.#ask(at);
      if (found.length === 0) return;
      for (const one of found) {
        if (exceptionOf(one)?.code === "endOfMibView" || !isUnder(one.oid, root)) return;
        if (!isBehind(one.oid, at)) {
          this.left.push({ left: "refused", place: at, reason: `${one.oid} comes after it` });
          return;
        }
        at = one.oid;
        const skip = skipped.find((group) => isUnder(one.oid, group));
        if (skip !== undefined) {
          at = sibling(skip);
          break;
        }
        if (this.#isOver()) return;
        this.objects++;
        yield entryOf(one, this.#settings.charset);
      }
    }
  }

  /** Notes once why it ends. */
  #isOver(): boolean {
    const why =
      this.objects >= this.#request.entriesMax
        ? "limit"
        : this.objects >= objectsMax
          ? "bound"
          : performance.now() >= this.#request.untilMs
            ? "time"
            : undefined;
    if (why === undefined) return false;
    if (!this.left.some(({ left }) => left === why)) this.left.push({ left: why });
    return true;
  }

  async #ask(at: string): Promise<Varbind[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#following(at, this.#rows);
      } catch (error) {
        if (error instanceof Refusal) {
          if (error.status === tooBig && this.#rows > 1) {
            this.#rows = Math.ceil(this.#rows / 2);
            continue;
          }
          // So v1 says that nothing follows.
          if (error.status !== noSuchName)
            this.left.push({ left: "refused", place: at, reason: statusName(error.status) });
          return [];
        }
        // Datagrams get lost.
        const isLoss = error instanceof DeviceError && error.code === "silent";
        if (!isLoss || tries === triesMax) throw error;
      }
    }
  }
}

/** The object of this very OID, behind which a walk begins; undefined: there is none. */
async function objectAt(oid: string, asks: Asks): Promise<Varbind | undefined> {
  try {
    const [found] = await asks.get(oid);
    return found === undefined || exceptionOf(found) !== undefined ? undefined : found;
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

/** The objects under an OID, or those that are the device's own; rejects with "rejected" where there is nothing. */
export async function* browse(
  settings: Settings,
  place: string,
  request: BrowseRequest,
  asks: Asks,
): AsyncGenerator<Browsed | LeftOut> {
  const { under, untilMs } = request;
  if (under !== undefined && !oidPattern.test(under))
    throw new DeviceError("rejected", `${place}: "${under.slice(0, 80)}" is no OID such as 1.3.6.1.4.1`);
  if (performance.now() >= untilMs) {
    yield { left: "time" };
    return;
  }
  const from = under?.replace(/^\./, "");
  const walk = new Walk(settings, request, asks.following);
  yield* walk.run(from);
  yield* walk.left;
  if (from === undefined || walk.objects > 0 || walk.left.length > 0) return;
  const own = await objectAt(from, asks);
  if (own === undefined) throw new DeviceError("rejected", `${place}: there is nothing at or below ${from}`);
  yield entryOf(own, settings.charset);
}

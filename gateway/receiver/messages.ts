import type { DeviceSite, DictionaryDevice, DictionaryPoint } from "../event.ts";
import { Dictionary, inflate, type DecodedBatch } from "../uplink/encoding.ts";
import type { Seal, Tomb } from "../uplink/seal.ts";
import { decodeBatch } from "./decode.ts";
import { rangesOf, type Loss, type Range } from "./ledger.ts";

/**
 * Reads the messages of kerb contract v1. Everything here throws an error with a sentence on anything that the
 * contract does not allow.
 */

/** Gateway ids: `[a-z0-9-]{3,40}` (kerb contract v1, terms). */
export const gatewayPattern = /^[a-z0-9-]{3,40}$/;

/**
 * Birth or death of a gateway's session. `ended` (member `"epochs": [[36, 912]]` of a birth) gives the last number
 * of each finished epoch of which the gateway still keeps rows.
 */
export interface Birth {
  online: boolean;
  session: number | undefined;
  epoch: number | undefined;
  /** Hash of the gateway's dictionary. */
  dictionary: string | undefined;
  ended: Map<number, number>;
}

/** Finished epochs that one birth may list, and ranges that one batch may declare lost. */
const endedMax = 256;
const lossesMax = 10_000;
const lossEpochsMax = 64;
const reasonLengthMax = 64;
/** The year 9999: what JavaScript can still print. */
const latestMs = 253_370_764_800_000;

function whole(value: unknown, least: number, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < least) {
    throw new RangeError(
      `"${name}" must be a whole number from ${least}, not ${JSON.stringify(value) ?? "absent"}`,
    );
  }
  return value as number;
}

function text(value: unknown, name: string): string {
  if (typeof value !== "string") throw new RangeError(`"${name}" must be a text`);
  return value;
}

function parseObject(payload: Uint8Array, what: string): Record<string, unknown> {
  const json: unknown = JSON.parse(Buffer.from(inflate(payload)).toString("utf8"));
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new RangeError(`${what} is a JSON object`);
  return json as Record<string, unknown>;
}

/** Reads a birth or a death (`st` topic). */
export function parseBirth(payload: Uint8Array): Birth {
  const json = parseObject(payload, "a birth");
  if (typeof json["online"] !== "boolean")
    throw new RangeError('a birth says whether the gateway is "online"');
  const listed = json["epochs"] ?? [];
  if (!Array.isArray(listed) || listed.length > endedMax) {
    throw new RangeError(`"epochs" of a birth is a list of at most ${endedMax} pairs [epoch, last number]`);
  }
  const ended = new Map<number, number>();
  for (const [epoch, last] of listed.filter(Array.isArray))
    ended.set(whole(epoch, 1, "epoch"), whole(last, 0, "last number"));
  return {
    online: json["online"],
    session: json["sess"] === undefined ? undefined : whole(json["sess"], 0, "sess"),
    epoch: json["ep"] === undefined ? undefined : whole(json["ep"], 1, "ep"),
    dictionary: typeof json["dict"] === "string" ? json["dict"] : undefined,
    ended,
  };
}

/** Reads a point dictionary (`dict` topic); points are `[index, name, unit, kind, decimals]` or objects. */
export function parseDictionary(payload: Uint8Array): Dictionary {
  const json = parseObject(payload, "a dictionary");
  const hash = text(json["dict"], "dict");
  if (!/^[0-9a-f]{8}$/.test(hash)) throw new RangeError('a dictionary\'s "dict" is 8 hex digits');
  if (!Array.isArray(json["devices"])) throw new RangeError('a dictionary has a list of "devices"');
  const devices = (json["devices"] as Record<string, unknown>[]).map((device, position): DictionaryDevice => {
    if (!Array.isArray(device?.["points"]))
      throw new RangeError("a device of a dictionary has a list of points");
    return {
      index: whole(device["index"] ?? position, 0, "index"),
      id: text(device["id"], "id"),
      type: text(device["type"] ?? "", "type"),
      profile: text(device["profile"] ?? "", "profile"),
      ...siteOf(device),
      points: (device["points"] as unknown[]).map(parsePoint),
    };
  });
  return new Dictionary(hash, devices);
}

function isDegrees(value: unknown, most: number): value is number {
  return typeof value === "number" && Math.abs(value) <= most;
}

/** What the dictionary says of a device beside its points; what makes no sense is left out, the values count more. */
function siteOf({ name, place, levels }: Record<string, unknown>): DeviceSite {
  const { lat, lon, address } = (place ?? {}) as Record<string, unknown>;
  const { datum, ...heights } = (levels ?? {}) as Record<string, unknown>;
  const metres = ["reference", "alert", "danger"].filter((key) => Number.isFinite(heights[key]));
  return {
    ...(typeof name === "string" ? { name } : {}),
    ...(isDegrees(lat, 90) && isDegrees(lon, 180)
      ? { place: { lat, lon, ...(typeof address === "string" ? { address } : {}) } }
      : {}),
    ...(metres.length === 0 && typeof datum !== "string"
      ? {}
      : {
          levels: {
            ...(typeof datum === "string" ? { datum } : {}),
            ...Object.fromEntries(metres.map((key) => [key, heights[key]])),
          },
        }),
  };
}

function parsePoint(point: unknown): DictionaryPoint {
  const members = ["index", "name", "unit", "kind", "decimals"];
  const list = Array.isArray(point)
    ? (point as unknown[])
    : members.map((name) => (point as Record<string, unknown>)?.[name]);
  const [index, name, unit, kind, decimals] = list;
  if (kind !== "number" && kind !== "boolean" && kind !== "text")
    throw new RangeError("a point's kind is number, boolean or text");
  return {
    index: whole(index, 0, "point index"),
    name: text(name, "point name"),
    unit: text(unit, "point unit"),
    kind,
    decimals: whole(decimals ?? 0, 0, "decimals"),
  };
}

/** Reads a seal (`seal` lane). */
export function parseSeal(gateway: string, payload: Uint8Array): Seal {
  const json = parseObject(payload, "a seal");
  if (json["v"] !== 1) throw new RangeError(`seal version ${JSON.stringify(json["v"])} is not known`);
  if (json["gw"] !== gateway) throw new RangeError(`the seal is of another gateway than "${gateway}"`);
  const from = whole(json["from"], 1, "from");
  const to = whole(json["to"], from - 1, "to");
  const fromMs = whole(json["fromMs"], 0, "fromMs");
  const toMs = whole(json["toMs"], fromMs, "toMs");
  if (toMs > latestMs) throw new RangeError(`"toMs" lies too far in the future`);
  const tomb = lossList(json["tomb"]).map(([a, b, reason]): Tomb => {
    const loss = lossOf(a, b, reason);
    if (loss.from < from || loss.to > to) throw new RangeError('"tomb" names numbers outside of the seal');
    return [loss.from, loss.to, loss.reason];
  });
  return {
    v: 1,
    gw: gateway,
    ep: whole(json["ep"], 1, "ep"),
    no: whole(json["no"], 1, "no"),
    from,
    to,
    n: whole(json["n"], 0, "n"),
    every: whole(json["every"], 1, "every"),
    fromMs,
    toMs,
    clock: whole(json["clock"], 0, "clock"),
    tomb,
    ...afterOf(json["after"]),
    ...(json["end"] === true ? { end: true as const } : {}),
    prev: digest(json["prev"], "prev"),
    h: digest(json["h"], "h"),
  };
}

function afterOf(after: unknown): { after?: [number, number] } {
  if (after === undefined) return {};
  if (!Array.isArray(after)) throw new RangeError('"after" of a seal is a pair [epoch, last number]');
  return { after: [whole(after[0], 1, "after"), whole(after[1], 0, "after")] };
}

function digest(value: unknown, name: string): string {
  if (typeof value !== "string" || !/^[0-9a-f]{64}$/.test(value))
    throw new RangeError(`"${name}" of a seal is 64 hex digits`);
  return value;
}

function lossList(list: unknown): unknown[][] {
  if (list === undefined) return [];
  if (!Array.isArray(list) || !list.every(Array.isArray))
    throw new RangeError("declared losses are a list of [from, to, reason]");
  if (list.length > lossesMax)
    throw new RangeError(`at most ${lossesMax} ranges are declared lost in one message`);
  return list as unknown[][];
}

function lossOf(first: unknown, last: unknown, reason: unknown): Loss {
  const from = whole(first, 1, "from");
  const to = whole(last, from, "to");
  return { from, to, reason: typeof reason === "string" ? reason.slice(0, reasonLengthMax) : "unknown" };
}

interface DropEntry {
  epoch?: unknown;
  from?: unknown;
  to?: unknown;
  reason?: unknown;
}

/**
 * The numbers that a batch declares lost: `dropped` of its gap events and `drop` of a columnar batch.
 * `inflated` is the JSON text of `decoded`; nearly all batches are done after one search in it.
 */
function declaredLosses(inflated: Buffer, decoded: DecodedBatch): (Loss & { epoch: number })[] {
  if (!inflated.includes("gap") && !inflated.includes('"drop"')) return [];
  const losses: (Loss & { epoch: number })[] = [];
  const epoch = decoded.epoch;
  for (const data of gapData(inflated, decoded)) {
    const dropped = (data as { dropped?: unknown } | null)?.dropped ?? [];
    if (!Array.isArray(dropped)) throw new RangeError('"dropped" of a gap event is a list');
    if (losses.length + dropped.length > lossesMax)
      throw new RangeError(`at most ${lossesMax} ranges are declared lost in one message`);
    for (const entry of dropped as DropEntry[]) {
      losses.push({
        epoch: whole(entry?.epoch ?? epoch, 1, "epoch"),
        ...lossOf(entry?.from, entry?.to, entry?.reason),
      });
    }
  }
  if (decoded.dictionary !== undefined) {
    const { drop } = JSON.parse(inflated.toString("utf8")) as { drop?: unknown };
    for (const [a, b, reason] of lossList(drop)) losses.push({ epoch, ...lossOf(a, b, reason) });
  }
  return losses;
}

/** The objects of the gap events; read without the dictionary, because a loss must count before it arrives. */
function gapData(inflated: Buffer, decoded: DecodedBatch): unknown[] {
  if (decoded.dictionary === undefined) {
    return decoded.events(undefined).flatMap((event) => (event.kind === "gap" ? [event.data] : []));
  }
  const { ev } = JSON.parse(inflated.toString("utf8")) as { ev?: unknown };
  if (!Array.isArray(ev)) return [];
  return (ev as { kind?: unknown; data?: unknown }[]).flatMap((item) =>
    item?.kind === "gap" ? [item.data] : [],
  );
}

/** What custody needs to know of a batch. */
export interface ReadBatch {
  decoded: DecodedBatch;
  ranges: Range[];
  losses: (Loss & { epoch: number })[];
}

/** Reads a batch as far as custody needs; the events themselves stay closed. Throws on anything wrong. */
export function readBatch(gateway: string, payload: Uint8Array): ReadBatch {
  const bytes = inflate(payload);
  const inflated = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (inflated[0] === 0x28 || inflated[0] === 0x1f) throw new RangeError("a batch is compressed once");
  const decoded = decodeBatch(inflated);
  if (decoded.gateway !== gateway) {
    throw new RangeError(
      `the batch names gateway ${JSON.stringify(decoded.gateway.slice(0, 80))}, its topic names "${gateway}"`,
    );
  }
  if (!Number.isSafeInteger(decoded.epoch) || decoded.epoch < 1)
    throw new RangeError(`epoch ${String(decoded.epoch)} is not a number from 1`);
  const losses = declaredLosses(inflated, decoded);
  if (new Set(losses.map((loss) => loss.epoch)).size > lossEpochsMax)
    throw new RangeError("losses of too many epochs in one batch");
  return { decoded, ranges: rangesOf(decoded.seqs), losses };
}

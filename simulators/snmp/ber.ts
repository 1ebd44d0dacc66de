/**
 * The part of BER (X.690) that SNMP uses, written for the simulator alone: the driver's codec is net-snmp's.
 */

export const tags = {
  integer: 0x02,
  octets: 0x04,
  null: 0x05,
  oid: 0x06,
  sequence: 0x30,
  ip: 0x40,
  counter: 0x41,
  gauge: 0x42,
  ticks: 0x43,
  opaque: 0x44,
  counter64: 0x46,
  noSuchObject: 0x80,
  noSuchInstance: 0x81,
  endOfMibView: 0x82,
} as const;

/** One tag with its content; constructed ones are read with `items`. */
export interface Item {
  readonly tag: number;
  readonly body: Buffer;
}

export class BerError extends Error {}

function readItem(bytes: Buffer, at: number): { item: Item; end: number } {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) throw new BerError("a tag without a length");
  let start = at + 2;
  let length = first;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw new BerError(`a length of ${count} octets`);
    if (start + count > bytes.length) throw new BerError("a length is cut off");
    length = bytes.readUIntBE(start, count);
    start += count;
  }
  const end = start + length;
  if (end > bytes.length) throw new BerError(`an item of ${length} octets is cut off`);
  return { item: { tag, body: bytes.subarray(start, end) }, end };
}

/** All items one after the other. Throws a `BerError` when the bytes are not whole items. */
export function items(bytes: Buffer): Item[] {
  const found: Item[] = [];
  for (let at = 0; at < bytes.length;) {
    const { item, end } = readItem(bytes, at);
    found.push(item);
    at = end;
  }
  return found;
}

/** The items inside one constructed item with this tag, which must be the first of `bytes`. */
export function inside(bytes: Buffer, tag: number): Item[] {
  const { item } = readItem(bytes, 0);
  if (item.tag !== tag) throw new BerError(`tag ${item.tag} where ${tag} belongs`);
  return items(item.body);
}

export function toInteger({ tag, body }: Item): number {
  if (tag !== tags.integer || body.length === 0 || body.length > 5) throw new BerError("no INTEGER");
  return body.readIntBE(0, body.length);
}

export function toOctets({ tag, body }: Item): Buffer {
  if (tag !== tags.octets) throw new BerError("no OCTET STRING");
  return body;
}

export function toOid({ tag, body }: Item): string {
  if (tag !== tags.oid || body.length === 0) throw new BerError("no OBJECT IDENTIFIER");
  const arcs: number[] = [];
  let arc = 0;
  for (const octet of body) {
    arc = arc * 128 + (octet & 0x7f);
    if (arc > 0xffffffff) throw new BerError("an arc is too large");
    if (octet < 0x80) {
      arcs.push(arc);
      arc = 0;
    }
  }
  if ((body.at(-1) ?? 0x80) >= 0x80) throw new BerError("an arc is cut off");
  const [head = 0, ...rest] = arcs;
  const top = Math.min(Math.floor(head / 40), 2);
  return [top, head - top * 40, ...rest].join(".");
}

export function encode(tag: number, body: Uint8Array): Buffer {
  const { length } = body;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), body]);
  const size = length < 0x100 ? 1 : 2;
  const head = Buffer.alloc(2 + size);
  head[0] = tag;
  head[1] = 0x80 | size;
  head.writeUIntBE(length, 2, size);
  return Buffer.concat([head, body]);
}

export const sequence = (parts: readonly Buffer[], tag: number = tags.sequence): Buffer =>
  encode(tag, Buffer.concat(parts));

/** The shortest two's complement. */
export function integer(value: number | bigint, tag: number = tags.integer): Buffer {
  const octets: number[] = [];
  let rest = BigInt(value);
  do {
    octets.unshift(Number(rest & 0xffn));
    rest >>= 8n;
  } while (!(rest === 0n && octets[0]! < 0x80) && !(rest === -1n && octets[0]! >= 0x80));
  return encode(tag, Buffer.from(octets));
}

export const octets = (bytes: Uint8Array | string): Buffer =>
  encode(tags.octets, typeof bytes === "string" ? Buffer.from(bytes) : bytes);

export function oid(text: string): Buffer {
  const [top = 0, second = 0, ...rest] = text.split(".").map(Number);
  const body = [top * 40 + second, ...rest].flatMap((arc) => {
    const septets = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      septets.unshift((left % 128) | 0x80);
    return septets;
  });
  return encode(tags.oid, Buffer.from(body));
}

/** An empty item: NULL, noSuchObject, endOfMibView. */
export const empty = (tag: number): Buffer => Buffer.from([tag, 0]);

/** Order of OIDs by their arcs. */
export function compareOids(a: string, b: string): number {
  const left = a.split(".").map(Number);
  const right = b.split(".").map(Number);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i]) return left[i]! - right[i]!;
  }
  return left.length - right.length;
}

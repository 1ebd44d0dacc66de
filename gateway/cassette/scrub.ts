import { digitFiller, filler, type Frame } from "./cassette.ts";
import { chunkFraming, packing } from "./http-bodies.ts";
import { personalPlaces, secretMember } from "./personal.ts";
import { communityPlace } from "./tree.ts";
import { joined } from "./turns.ts";

/** Takes out of recorded bytes what must not be kept. A byte that is hidden is overwritten, its place stays. */

/** A text that must not stay, and what it is called in the cassette's head. */
export interface Secret {
  what: string;
  text: string;
  /** It names somebody, so that a number that a device tells may be it as well. */
  isPersonal?: boolean;
  /** It may be a part of words that have nothing to do with it, and is hidden only by itself. */
  isWord?: boolean;
}

/** A shorter text would be found in everything. */
export const secretCharsMin = 4;

/** The part of the base64 of a text that does not depend on what stands around it. */
function base64Cores(bytes: Buffer): Buffer[] {
  return [0, 1, 2].flatMap((before) => {
    const coded = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
    const core = coded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    return core.length >= secretCharsMin ? [Buffer.from(core)] : [];
  });
}

/** How a text may be written on a wire. */
export function formsOf(text: string): Buffer[] {
  const utf8 = Buffer.from(text);
  const hex = utf8.toString("hex");
  const xml = text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
  const ascii = JSON.stringify(text)
    .slice(1, -1)
    .replaceAll(/[^ -~]/g, (one) => {
      return `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
    });
  const texts = [
    text.toLowerCase(),
    text.toUpperCase(),
    xml,
    encodeURIComponent(text),
    ascii,
    hex,
    hex.toUpperCase(),
  ];
  const forms = [
    utf8,
    Buffer.from(text, "latin1"),
    Buffer.from(text, "utf16le"),
    Buffer.from(text, "utf16le").swap16(),
    Buffer.from(JSON.stringify(text).slice(1, -1)),
    ...texts.map((one) => Buffer.from(one)),
    ...base64Cores(utf8),
  ];
  const isFirst = (form: Buffer, i: number) => forms.findIndex((one) => one.equals(form)) === i;
  return forms.filter((form, i) => form.length > 0 && isFirst(form, i));
}

/** What is found by how it looks. The group is what is hidden. */
const looks: { what: string; from?: Frame["from"]; pattern: RegExp }[] = [
  {
    what: "logins",
    pattern:
      /^(?:(?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]*(?:key|token|auth|signature)[\w-]*)[ \t]*:[ \t]*([^\r\n]+)/dgim,
  },
  { what: "logins", pattern: /<(?:[\w.-]+:)?(?:Password|Nonce)\b[^>]*>([^<]+)</dgi },
  // A JPEG or PNG begins so in base64; nothing else that long is read by anybody.
  {
    what: "pictures",
    from: "device",
    pattern: /((?<![A-Za-z0-9+/])(?:(?:\\?\/9j\\?\/|iVBOR)[A-Za-z0-9+/\\]{20,}|[A-Za-z0-9+/]{500,})={0,2})/dg,
  },
  { what: "numbers of messages", from: "kerb", pattern: /<(?:[\w.-]+:)?MessageID\b[^>]*>([^<]+)</dgi },
  { what: "kerb's time", from: "kerb", pattern: /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/dg },
];
/** Number plates as they look in Vietnam, also old ones of four digits and those with Đ (as its bytes). */
export const plateLook = {
  what: "plates",
  pattern: /(\d\d-?(?:[A-Z]|\xc4\x90){1,2}\d?[- .]?\d{3}[. ]?\d{1,2}(?!\d))/dg,
};

const numeric = /^[-+]?\d+(?:\.\d+)?$/;
/** A password that is a number: digits beside it make it another number. */
export const looksLikeNumber = (text: string): boolean => numeric.test(text);

const charsBeforeMax = 120;

const inWord = /[\w-]/;

/** `text` with the secret written over by `by`. */
export function withoutSecret(text: string, secret: Secret, by: string): string {
  return text.replaceAll(secret.text, (one, at: number) =>
    isPart(text, at, at + one.length, secret) ? one : by.repeat(one.length),
  );
}

function isPart(text: string, start: number, end: number, secret: Secret): boolean {
  if (secret.isWord === true) return inWord.test(text[start - 1] ?? "") || inWord.test(text[end] ?? "");
  return looksLikeNumber(secret.text) && numberPlace(text, start, end) === "part";
}

/** How the place between `start` and `end` of a text stands to a secret that is a number. */
function numberPlace(text: string, start: number, end: number): "number" | "text" | "part" {
  if (/[\d.]/.test(text[start - 1] ?? "") || /^\.?\d/.test(text.slice(end, end + 2))) return "part";
  const before = text.slice(Math.max(0, start - charsBeforeMax), start);
  const isBare = /[:,[]\s*$/.test(before) && /^\s*[,}\]]/.test(text.slice(end, end + charsBeforeMax));
  return isBare ? "number" : "text";
}

/** One direction of a connection as a stream: what is hidden may be split over frames, and over chunks of HTTP. */
class Stream {
  readonly from: Frame["from"];
  /** Without what stands between the chunks, which must stay as it is. */
  readonly bytes: Buffer;
  readonly text: string;
  readonly #frames: readonly Frame[];
  /** Where these bytes are in the frames. */
  readonly #parts: { start: number; end: number; at: number }[] = [];
  readonly #extensions: readonly { start: number; end: number }[];

  constructor(from: Frame["from"], frames: readonly Frame[]) {
    this.from = from;
    this.#frames = frames;
    const { bytes } = joined(frames);
    const { framing, extensions } = chunkFraming(bytes.toString("latin1"));
    this.#extensions = extensions;
    let [at, start] = [0, 0];
    for (const cut of [...framing, { start: bytes.length, end: bytes.length }]) {
      const end = start + cut.start - at;
      if (end > start) this.#parts.push({ start, end, at });
      [at, start] = [cut.end, end];
    }
    this.bytes = Buffer.concat(
      this.#parts.map((part) => bytes.subarray(part.at, part.at + part.end - part.start)),
    );
    this.text = this.bytes.toString("latin1");
  }

  hide(from: number, end: number, by: number = filler): void {
    for (const part of this.#parts) {
      const [first, last] = [Math.max(from, part.start), Math.min(end, part.end)];
      if (first < last) this.#hideAt(part.at + first - part.start, part.at + last - part.start, by);
    }
  }

  #hideAt(from: number, end: number, by: number): void {
    let start = 0;
    for (const { bytes, hidden } of this.#frames) {
      const stop = start + hidden.length;
      if (stop > from && start < end) {
        const [first, last] = [Math.max(0, from - start), Math.min(hidden.length, end - start)];
        // What one secret has hidden as text stays text.
        for (let i = first; i < last; i++) if (hidden[i] === 0) bytes[i] = by;
        hidden.fill(1, first, last);
      }
      start = stop;
    }
  }

  /** Nobody reads them. */
  hideExtensions(): boolean {
    for (const { start, end } of this.#extensions) this.#hideAt(start, end, filler);
    return this.#extensions.length > 0;
  }

  hideText(form: Buffer, secret: Secret): boolean {
    const { text, isPersonal = false, isWord = false } = secret;
    const isNumber = looksLikeNumber(text) && form.equals(Buffer.from(text));
    let isThere = false;
    for (let at = this.bytes.indexOf(form); at >= 0; at = this.bytes.indexOf(form, at + 1)) {
      const end = at + form.length;
      if (isWord && isPart(this.text, at, end, secret)) continue;
      const place = isNumber ? numberPlace(this.text, at, end) : "text";
      if (place === "part") continue;
      if (place === "number") {
        const before = this.text.slice(Math.max(0, at - charsBeforeMax), at);
        // A number that a device tells is a value of its, unless it is called like a secret.
        if (this.from === "device" && !isPersonal && !secretMember.test(before)) continue;
      }
      isThere = true;
      // Where JSON has a number there must still be one, or nothing of it can be read any more.
      this.hide(at, end, place === "number" ? digitFiller : filler);
    }
    return isThere;
  }

  hidePersonal(): boolean {
    const places = personalPlaces(this.text);
    for (const { start, end, isNumber } of places) {
      if (!isNumber) this.hide(start, end);
      else for (let i = start; i < end; i++) if (/\d/.test(this.text[i]!)) this.hide(i, i + 1, digitFiller);
    }
    return places.length > 0;
  }

  hideLooks(): string[] {
    return [...looks, plateLook].flatMap(({ what, pattern, ...look }) => {
      if ("from" in look && look.from !== this.from) return [];
      const places = [...this.text.matchAll(pattern)].map(({ indices }) => indices?.[1] ?? ([0, 0] as const));
      for (const [start, end] of places) this.hide(start, end);
      return places.length > 0 ? [what] : [];
    });
  }
}

/** How what a device said on a connection is packed, so that nothing can be found in it; undefined: it is not. */
export function packedIn(frames: readonly Frame[]): string | undefined {
  return packing(new Stream("device", framesFrom("device", frames)).text);
}

const framesFrom = (from: Frame["from"], frames: readonly Frame[]): Frame[] =>
  frames.filter((frame) => frame.from === from);

/**
 * Hides every secret in every way of writing, and what looks like a login. Gives what was found, by name, and the
 * secrets that are nowhere. Texts that are too short to be found are left to where the protocol has their place.
 */
export function scrub(
  connections: readonly Frame[][],
  secrets: readonly Secret[],
): { found: string[]; nowhere: Secret[] } {
  const found = new Set<string>();
  const there = new Set<Secret>();
  for (const { bytes, hidden } of connections.flat()) {
    const place = communityPlace(bytes);
    if (place === undefined) continue;
    bytes.fill(filler, place.start, place.end);
    hidden.fill(1, place.start, place.end);
    found.add("community");
  }
  const forms = secrets
    .filter(({ text }) => text.length >= secretCharsMin)
    .map((secret) => [secret, formsOf(secret.text)] as const);
  const streams = connections.flatMap((frames) =>
    (["kerb", "device"] as const).map((from) => new Stream(from, framesFrom(from, frames))),
  );
  for (const stream of streams) {
    for (const [secret, ways] of forms) {
      if (!ways.map((form) => stream.hideText(form, secret)).includes(true)) continue;
      there.add(secret);
      found.add(secret.what);
    }
    if (stream.hideExtensions()) found.add("extensions of chunks");
    if (stream.hidePersonal()) found.add("personal members");
    for (const what of stream.hideLooks()) found.add(what);
  }
  return { found: [...found].toSorted(), nowhere: secrets.filter((secret) => !there.has(secret)) };
}

/** Members of readings and records that say what kerb says, and nothing of the device. */
const kerbsOwn = new Set(["unit", "status", "kind", "record", "category", "severity", "state"]);

function veiledText(text: string, secrets: readonly Secret[]): string {
  return secrets.reduce((left, secret) => {
    if (left === secret.text) return "x".repeat(left.length);
    return secret.text.length < secretCharsMin ? left : withoutSecret(left, secret, "x");
  }, text);
}

/** What came out of a device, with every secret in its texts overwritten; its numbers, and what kerb says, stay. */
export function veiled<Value>(value: Value, secrets: readonly Secret[]): Value {
  if (typeof value === "string") return veiledText(value, secrets) as Value;
  if (Array.isArray(value)) return value.map((one: unknown) => veiled(one, secrets)) as Value;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]: [string, unknown]) => {
      return [name, typeof one === "string" && kerbsOwn.has(name) ? one : veiled(one, secrets)];
    }),
  ) as Value;
}

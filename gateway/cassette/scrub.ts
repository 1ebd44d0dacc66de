import type { Frame } from "./cassette.ts";
import { joined } from "./turns.ts";

/** Takes out of recorded bytes what must not be kept. A byte that is hidden is overwritten, its place stays. */

/** A text that must not stay, and what it is called in the cassette's head. */
export interface Secret {
  what: string;
  text: string;
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
  { what: "numbers of messages", from: "kerb", pattern: /<(?:[\w.-]+:)?MessageID\b[^>]*>([^<]+)</dgi },
  { what: "kerb's time", from: "kerb", pattern: /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/dg },
];
/** Number plates as they look in Vietnam, also old ones of four digits and those with Đ (as its bytes). */
const plateLook = {
  what: "plates",
  pattern: /(\d\d-?(?:[A-Z]|\xc4\x90){1,2}\d?[- .]?\d{3}[. ]?\d{1,2}(?!\d))/dg,
};

/** One direction of a connection as a stream: what is hidden may be split over frames. */
class Stream {
  readonly #frames: readonly Frame[];
  readonly bytes: Buffer;
  readonly text: string;

  constructor(frames: readonly Frame[]) {
    this.#frames = frames;
    this.bytes = joined(frames).bytes;
    this.text = this.bytes.toString("latin1");
  }

  hide(from: number, end: number): void {
    let start = 0;
    for (const { hidden } of this.#frames) {
      const stop = start + hidden.length;
      if (stop > from && start < end)
        hidden.fill(1, Math.max(0, from - start), Math.min(hidden.length, end - start));
      start = stop;
    }
  }

  hideText(form: Buffer): boolean {
    let at = this.bytes.indexOf(form);
    const isThere = at >= 0;
    for (; at >= 0; at = this.bytes.indexOf(form, at + 1)) this.hide(at, at + form.length);
    return isThere;
  }
}

/**
 * Hides every secret in every way of writing, and what looks like a login. Gives what was found, by name, and the
 * secrets that are nowhere.
 */
export function scrub(
  connections: readonly Frame[][],
  secrets: readonly Secret[],
  filler: number,
): { found: string[]; nowhere: Secret[] } {
  const found = new Set<string>();
  const there = new Set<Secret>();
  const streams = connections.flatMap((frames) =>
    (["kerb", "device"] as const).map((from) => ({
      from,
      stream: new Stream(frames.filter((frame) => frame.from === from)),
    })),
  );
  const forms = new Map(secrets.map((secret) => [secret, formsOf(secret.text)]));
  for (const { from, stream } of streams) {
    for (const [secret, ways] of forms) {
      if (!ways.map((form) => stream.hideText(form)).includes(true)) continue;
      there.add(secret);
      found.add(secret.what);
    }
    for (const { what, pattern, ...look } of [...looks, plateLook]) {
      if ("from" in look && look.from !== from) continue;
      for (const { indices } of stream.text.matchAll(pattern)) {
        const [start, end] = indices?.[1] ?? [0, 0];
        stream.hide(start, end);
        found.add(what);
      }
    }
  }
  for (const { bytes, hidden } of connections.flat()) {
    hidden.forEach((isHidden, i) => {
      if (isHidden === 1) bytes[i] = filler;
    });
  }
  return { found: [...found].toSorted(), nowhere: secrets.filter((secret) => !there.has(secret)) };
}

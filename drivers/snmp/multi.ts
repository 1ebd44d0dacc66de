/** MULTI, the mark-up of message signs (NTCIP 1203 v03.05, 6.4): tags, characters and what a sign can show of them. */

/** Bits of dmsSupportedMultiTags (5.5.23); fields f1 to f13 are bits 14 to 26. */
const tagBits: Record<string, number> = {
  cb: 0,
  cf: 1,
  fl: 2,
  fo: 3,
  g: 4,
  hc: 5,
  jl: 6,
  jp: 7,
  ms: 8,
  mv: 9,
  nl: 10,
  np: 11,
  pt: 12,
  sc: 13,
  tr: 27,
  cr: 28,
  pb: 29,
};
const firstField = 14;

export interface Tag {
  /** Without brackets and slash: "jp". */
  readonly name: string;
  /** What stands behind the name: "3". */
  readonly value: string;
  /** Offset in the text. */
  readonly at: number;
}

interface Character {
  readonly code: number;
  /** The font that the text names for it; undefined: the sign's default. */
  readonly font: number | undefined;
  readonly at: number;
}

export interface Parsed {
  readonly tags: readonly Tag[];
  readonly characters: readonly Character[];
  readonly pages: number;
  /** What is wrong with the text before any sign has seen it. */
  readonly problem: string | undefined;
}

const tagPattern = /^(\/?)([a-z]{1,2})(.*)$/is;
/** Tags of which there is an end. */
const closed = ["fl", "ms", "sc"];
/** What must stand behind these names, because kerb reads it: a character by its number, a font. */
const valuePatterns: Record<string, RegExp> = {
  hc: /^[0-9a-f]{1,4}$/i,
  fo: /^((\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])(,[0-9a-f]{1,4})?)?$/i,
};

/** Reads a MULTI text. `[[` and `]]` stand for the brackets themselves. */
export function parse(text: string): Parsed {
  const tags: Tag[] = [];
  const characters: Character[] = [];
  let pages = 1;
  let font: number | undefined;
  const broken = (what: string, at: number): Parsed => ({
    tags,
    characters,
    pages,
    problem: `${what} at offset ${at}: "${text.slice(at, at + 12)}"`,
  });
  for (let at = 0; at < text.length;) {
    const pair = text.slice(at, at + 2);
    if (text[at] === "[" && pair !== "[[") {
      const end = text.indexOf("]", at);
      if (end < 0) return broken("a tag that is not closed", at);
      const tag = readTag(text.slice(at + 1, end), at);
      if (tag === undefined) return broken("no tag of MULTI", at);
      tags.push(tag);
      if (tag.name === "np") pages++;
      if (tag.name === "fo") font = tag.value === "" ? undefined : Number.parseInt(tag.value, 10);
      if (tag.name === "hc") {
        const code = Number.parseInt(tag.value, 16);
        if (code === 0) return broken("a NUL, which MULTI does not allow,", at);
        characters.push({ code, font, at });
      }
      if (tag.name === "mv") {
        const moving = tag.value.split(",").slice(3).join(",");
        for (const one of moving) characters.push({ code: one.codePointAt(0) ?? 0, font, at });
      }
      at = end + 1;
      continue;
    }
    if (text[at] === "]" && pair !== "]]") return broken("a bracket without a tag", at);
    const code = text.codePointAt(at) ?? 0;
    if (code === 0) return broken("a NUL, which MULTI does not allow,", at);
    characters.push({ code, font, at });
    at += pair === "[[" || pair === "]]" ? 2 : code > 0xffff ? 2 : 1;
  }
  return { tags, characters, pages, problem: undefined };
}

function readTag(inside: string, at: number): Tag | undefined {
  const [, slash, letters = "", value = ""] = tagPattern.exec(inside) ?? [];
  const two = letters.toLowerCase();
  if (slash === "/" && !closed.includes(two)) return undefined;
  if (two in tagBits) return valuePatterns[two]?.test(value) === false ? undefined : { name: two, value, at };
  const [one = ""] = two;
  // g and f are one letter, with a number right behind.
  const rest = letters.slice(1) + value;
  if (one === "g" && /^\d/.test(rest)) return { name: "g", value: rest, at };
  const field = /^(\d{1,2})(,|$)/.exec(rest)?.[1];
  if (one === "f" && field !== undefined && Number(field) >= 1 && Number(field) <= 13)
    return { name: `f${Number(field)}`, value: rest, at };
  return undefined;
}

/** Tags that the sign's bitmap leaves out: octet 0 holds bits 0 to 7 (seen on signs: FF FF FF 3F). */
export function unsupportedTags({ tags }: Parsed, supported: Uint8Array): Tag[] {
  return tags.filter(({ name }) => {
    const bit = tagBits[name] ?? firstField + Number(name.slice(1)) - 1;
    return (((supported[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 0;
  });
}

/** The octets that the sign gets; characters that its character set has not, as they are. */
export function encode(text: string, charset: "latin1" | "utf8"): { bytes: Buffer; missing: string[] } {
  if (charset === "utf8") return { bytes: Buffer.from(text), missing: [] };
  const missing = [...new Set(text)].filter((one) => (one.codePointAt(0) ?? 0) > 0xff);
  return { bytes: Buffer.from(text, "latin1"), missing };
}

/** "Đường đông" → "Duong dong": letters without their marks. */
export function withoutDiacritics(text: string): string {
  return text
    .normalize("NFD")
    .replaceAll(/\p{M}/gu, "")
    .replaceAll("đ", "d")
    .replaceAll("Đ", "D")
    .normalize("NFC");
}

/** The encodings in which cameras write: UTF-8 most of them, and what they say they do the rest. */

/** By its first bytes: a mark, or "<" as it stands in UTF-16. */
function encodingOf(bytes: Buffer): string | undefined {
  const head = bytes.toString("hex", 0, 4);
  if (head.startsWith("efbbbf")) return "utf-8";
  if (head.startsWith("feff") || head === "003c003f") return "utf-16be";
  if (head.startsWith("fffe") || head === "3c003f00") return "utf-16le";
  return undefined;
}

/**
 * The text of an XML document: by its first bytes, the HTTP header, its declaration, else as UTF-8 (RFC 7303). What
 * is not of the encoding that is named is taken as the next one; a name that nobody knows counts for nothing.
 */
export function textOf(bytes: Buffer, contentType: string): string {
  const [, declared] =
    /^\s*<\?xml[^>]{0,100}\sencoding\s*=\s*["']([\w.:-]{1,40})["']/.exec(bytes.toString("latin1", 0, 200)) ??
    [];
  const [, told] = /;\s*charset\s*=\s*"?([\w.:-]{1,40})/i.exec(contentType) ?? [];
  for (const label of [encodingOf(bytes), told, declared]) {
    // That of two bytes would take any text for its own; it shows in the first bytes.
    if (label === undefined || (/^utf-?16/i.test(label) && label !== encodingOf(bytes))) continue;
    try {
      return new TextDecoder(label, { fatal: true }).decode(bytes);
    } catch {
      continue;
    }
  }
  return new TextDecoder().decode(bytes);
}

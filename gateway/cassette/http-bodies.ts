/** What HTTP puts around the body of an answer, as far as a secret can be hidden by it. */

const heads = /HTTP\/1\.[01] \d{3}[^\n]*\n(?:[^\r\n]+\r?\n)*\r?\n/g;

/** The words of a header's every line. */
function wordsOf(head: string, name: string): string[] {
  const lines = [...head.matchAll(new RegExp(`^${name}[ \\t]*:([^\\r\\n]*)`, "gim"))];
  return lines.flatMap(([, value = ""]) => value.split(",").map((word) => word.trim().toLowerCase()));
}

/** How a device has packed its answers ("gzip"), so that nothing can be found in them; undefined: it has not. */
export function packing(text: string): string | undefined {
  for (const [head] of text.matchAll(heads)) {
    const words = [...wordsOf(head, "content-encoding"), ...wordsOf(head, "transfer-encoding")];
    const found = words.find((word) => !["", "identity", "chunked"].includes(word));
    if (found !== undefined) return found;
  }
  return undefined;
}

interface Span {
  start: number;
  end: number;
}

const sizeLine = /([\da-f]{1,8}[ \t]*)(;[^\r\n]*)?\r?\n/iy;
const lineEnd = /\r?\n/y;

/**
 * What stands between the parts of bodies that come in chunks (RFC 9112, 7.1): all of it, in order, and what of that
 * the sender may have written himself.
 */
export function chunkFraming(text: string): { framing: Span[]; extensions: Span[] } {
  const framing: Span[] = [];
  const extensions: Span[] = [];
  heads.lastIndex = 0;
  for (let head = heads.exec(text); head !== null; head = heads.exec(text)) {
    if (!wordsOf(head[0], "transfer-encoding").includes("chunked")) continue;
    let at = heads.lastIndex;
    let isLast = false;
    while (!isLast) {
      sizeLine.lastIndex = at;
      const [line, size = "", extension = ""] = sizeLine.exec(text) ?? [];
      if (line === undefined) break;
      framing.push({ start: at, end: at + line.length });
      const written = at + size.length;
      if (extension !== "") extensions.push({ start: written + 1, end: written + extension.length });
      const length = Number.parseInt(size, 16);
      isLast = length === 0;
      at += line.length + length;
      lineEnd.lastIndex = at;
      const [end] = (isLast ? null : lineEnd.exec(text)) ?? [""];
      if (end !== "") framing.push({ start: at, end: at + end.length });
      at += end.length;
    }
    heads.lastIndex = at;
  }
  return { framing, extensions };
}

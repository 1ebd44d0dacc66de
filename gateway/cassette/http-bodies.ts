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

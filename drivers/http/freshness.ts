/** How old an answer is, and how to ask whether it has changed (RFC 9110, 8.8 and 13.1; RFC 9111, 4.2 and 5.1). */

type Header = (name: string) => string | undefined;

export type Validators = Readonly<Record<string, string>>;

const secondsMax = 2 ** 31;

/**
 * When what an answer says was made, ms since 1970; undefined: just now. `isBelieved`: the server changes a document
 * when what it says changes, so that it is as old as its last modification, by the server's own clock.
 */
export function madeMs(header: Header, isBelieved: boolean): number | undefined {
  const age = header("age") ?? "";
  const cachedMs = /^\d+$/.test(age) ? Math.min(Number(age), secondsMax) * 1000 : 0;
  const standingMs = isBelieved ? (sinceModifiedMs(header) ?? 0) : 0;
  const ageMs = cachedMs + Math.max(0, standingMs);
  return ageMs > 0 ? Date.now() - ageMs : undefined;
}

function sinceModifiedMs(header: Header): number | undefined {
  const ms = Date.parse(header("date") ?? "") - Date.parse(header("last-modified") ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}

/** What asks for a document only if it has changed; undefined where its server has no way to tell. */
export function validatorsOf(header: Header): Validators | undefined {
  const [tag, modified] = [header("etag"), header("last-modified")];
  if (tag !== undefined) return { "If-None-Match": tag };
  // Within the second of the change the document may change again and keep this time.
  if (modified === undefined || !((sinceModifiedMs(header) ?? 0) >= 1000)) return undefined;
  return { "If-Modified-Since": modified };
}

const strong = (tag: string): string => tag.replace(/^W\//, "");

/** Whether a 304 speaks of the document that we have: its tag, where it has one, is the one that we named. */
export function isSame(
  tag: string | undefined,
  { validators }: { readonly validators: Validators },
): boolean {
  const ours = validators["If-None-Match"];
  return tag === undefined || ours === undefined || strong(tag) === strong(ours);
}

import { isIP } from "node:net";
import { hostname } from "node:os";
import { printable } from "./printable.ts";

/**
 * A page in somebody's browser can have its own name resolved to this machine and then read what is served here (DNS
 * rebinding): only the Host header tells. It is asked of every HTTP server that answers without a login.
 */

/** The host of a Host header, "[::1]:80" as "::1". */
function hostIn(header: string): string {
  const [, bracketed, plain = ""] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(header.trim()) ?? [];
  return (bracketed ?? plain).toLowerCase().replace(/\.$/, "");
}

/**
 * Why a request is not answered (status 421), as one sentence; undefined: it is meant for this server. `names`: where
 * it listens, and by what names it is known besides. Browsers always send the header.
 */
export function refusedHost(header: string | null | undefined, names: readonly string[]): string | undefined {
  if (header === undefined || header === null) return undefined;
  const host = hostIn(header);
  const own = ["localhost", hostname(), ...names].map((name) => name.toLowerCase());
  if (isIP(host) !== 0 || (host !== "" && own.includes(host))) return undefined;
  return `"${printable(header.slice(0, 80))}" is no name of this server: ask it by its address, or let it listen on that name`;
}

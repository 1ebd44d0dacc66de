import { randomUUID } from "node:crypto";
import { escape } from "./soap.ts";

/** Addresses that a camera gives: of each only the path is used, and the port where the site allows it. */

export interface Endpoint {
  readonly path: string;
  readonly port: number;
}

const pathMax = 500;

/** A host as it stands in a URL and in a Host header: IPv6 in brackets, without its zone (RFC 6874, 4). */
export function hostInUrl(host: string): string {
  return host.includes(":") ? `[${host.replace(/%.*$/, "")}]` : host;
}

/** The path of an address that a camera gives, and nothing else of it: host and port are the settings'. */
export function pathOf(given: string | undefined, scheme: "http" | "rtsp" = "http"): string | undefined {
  const text = given?.trim() ?? "";
  // Not by `URL` alone: cameras write hosts that it refuses (a zone of IPv6, none at all), or the path only.
  const head = scheme === "http" ? /^(?:https?:\/\/[^/?#]*|(?=\/))/i : /^rtsp:\/\/[^/?#]*/i;
  const [whole] = head.exec(text) ?? [];
  const url = whole === undefined ? null : URL.parse(`http://camera${text.slice(whole.length)}`);
  if (url === null || url.host !== "camera") return undefined;
  const path = `${url.pathname}${url.search}`;
  return path.length <= pathMax ? path : undefined;
}

/** The port that an address names; undefined: none. */
export function portOf(given: string | undefined): number | undefined {
  const [, port] =
    /^\w{1,9}:\/\/(?:[^/?#@]*@)?(?:\[[^\]]*\]|[^/?#:]*):(\d{1,5})(?=[/?#]|$)/.exec(given?.trim() ?? "") ?? [];
  return port === undefined ? undefined : Number(port);
}

/** Headers of WS-Addressing for a message to an address that the camera gave, which is named and not called. */
export function addressing(action: string, to: string, more = ""): string {
  return (
    `<wsa:Action s:mustUnderstand="true">${action}</wsa:Action>` +
    `<wsa:MessageID>urn:uuid:${randomUUID()}</wsa:MessageID>` +
    `<wsa:To s:mustUnderstand="true">${escape(to)}</wsa:To>${more}`
  );
}

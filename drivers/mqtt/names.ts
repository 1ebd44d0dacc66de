import { createHash, randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { dropOldest } from "./remember.ts";
import type { Settings } from "./settings.ts";

const remembered = 100;

/** By key. A take-over of one process by another with the same id would cut off both for ever. */
const ownParts = new Map<string, string>();

export function portOf({ port, tls }: Pick<Settings, "port" | "tls">): number {
  return port ?? (tls === undefined ? 1883 : 8883);
}

/** Where the broker is, at the head of each error message. */
export function placeOf(settings: Settings): string {
  const { host } = settings;
  return `${host.includes(":") ? `[${host}]` : host}:${portOf(settings)}`;
}

/** The same for devices that may share a connection. */
export function keyOf(settings: Settings, nth: number): string {
  const { host, tls, username, password, clientId, protocol } = settings;
  return JSON.stringify([host, portOf(settings), tls, username, password, clientId, protocol, nth]);
}

/** The same session: nothing of the password is in it, for it is kept beside what it names. */
export function sessionKeyOf(
  { host, port, tls, username, clientId, protocol }: Settings,
  nth: number,
): string {
  return JSON.stringify([host, portOf({ port, tls }), tls, username, clientId, protocol, nth]);
}

/** MQTT 5, 3.8.2.1.2: of a filter the same in each run, for what was kept carries those of the last. */
export function identifierOf(filter: string): number {
  return Number.parseInt(createHash("sha256").update(filter).digest("hex").slice(0, 7), 16) || 1;
}

/** It travels and is logged in clear: nothing of the password may be in it. */
export function clientIdOf(key: string, settings: Settings, nth: number, keptPart?: string): string {
  const { clientId, host, username = "" } = settings;
  if (clientId !== undefined) return nth === 1 ? clientId : `${clientId}-${nth}`;
  const whose = JSON.stringify([hostname(), host, portOf(settings), username]);
  const box = createHash("sha256").update(whose).digest("hex").slice(0, 8);
  const own = keptPart ?? ownParts.get(key) ?? randomBytes(4).toString("hex");
  ownParts.set(key, own);
  dropOldest(ownParts, remembered);
  // MQTT 3.1.1 lets brokers refuse ids of more than 23 characters.
  return `kerb-${box}-${own}`;
}

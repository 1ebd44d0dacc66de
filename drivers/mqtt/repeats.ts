import { createHash } from "node:crypto";
import { dropOldest, Memory } from "./remember.ts";

/** Devices whose last messages are remembered, and how many of each. */
const devicesMax = 5000;
const messagesMax = 32;

interface Known {
  readonly recent: Set<string>;
  /** The last one of each place: what the broker has retained comes from all of them again. */
  readonly last: Map<string, string>;
}

/** Outlives a connection: what is sent again is sent again after a reconnect above all. */
const memory = new Memory<Known>(devicesMax, () => ({ recent: new Set(), last: new Map() }));

/**
 * Whether a device has told this message at this place before, as far as is remembered: its last 32 messages, and
 * the last one of each of `placesMax` places; of 5,000 devices.
 */
export function isRepeated(device: string, place: string, id: string, placesMax: number): boolean {
  const { recent, last } = memory.of(device);
  // A publisher decides how long its topics and ids are.
  const [at, key] = [short(place), short(`${place}\0${id}`)];
  if (recent.has(key) || last.get(at) === key) return true;
  recent.add(key);
  dropOldest(recent, messagesMax);
  last.delete(at);
  last.set(at, key);
  dropOldest(last, placesMax);
  return false;
}

/** What a device told was lost: when it comes again it is news. */
export function forgetTold(device: string): void {
  const { recent, last } = memory.of(device);
  recent.clear();
  last.clear();
}

function short(text: string): string {
  return createHash("sha256").update(text).digest("base64").slice(0, 16);
}

import { createHash } from "node:crypto";

/** Devices whose last messages are remembered, and how many of each. */
const devicesMax = 5000;
const messagesMax = 32;

/** Outlives a connection: what is sent again is sent again after a reconnect above all. */
const devices = new Map<string, Set<string>>();

/** Whether a device has told this message before, as far as is remembered: 32 messages of 5,000 devices. */
export function isRepeated(device: string, id: string): boolean {
  const known = devices.get(device) ?? new Set<string>();
  devices.delete(device);
  devices.set(device, known);
  dropOldest(devices, devicesMax);
  // A publisher decides how long its ids are.
  const key = createHash("sha256").update(id).digest("base64").slice(0, 16);
  if (known.has(key)) return true;
  known.add(key);
  dropOldest(known, messagesMax);
  return false;
}

function dropOldest(
  collection: { size: number; keys(): Iterable<string>; delete(key: string): boolean },
  max: number,
): void {
  if (collection.size <= max) return;
  for (const key of collection.keys()) {
    collection.delete(key);
    return;
  }
}

import type { CommandSource, CommandStage, CommandState } from "../../commands/state.ts";

/** States of commands as gateways tell them, which anybody at the broker may have written. */

const stages: readonly CommandStage[] = [
  "accepted",
  "rejected",
  "running",
  "done",
  "failed",
  "expired",
  "unknown",
];
const sources: readonly CommandSource[] = ["ioc", "local", "schedule"];
const bytesMax = 65_536;
const idPattern = /^[0-9A-Z]{26}$/;

/** What a state may say beside `v`, `id`, `gw`, `dev`, `state` and `at`; all else is left out. */
const texts = { by: 200, mode: 20, code: 60, reason: 1000, arm: 200, nonce: 200, returns: 26 } as const;
const numbers = ["writtenMs", "armMs", "nonceMs", "leaseMs"] as const;
const flags = ["replay", "resolved", "unsigned", "unrecorded"] as const;
const values = ["args", "before", "readBack"] as const;
const pointsMax = 100;
const valuesCharsMax = 8192;

/** Points with their values; undefined: they are none. Nothing in it has members of its own. */
function readValues(given: unknown): CommandState["before"] {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return undefined;
  const entries = Object.entries(given);
  let chars = 0;
  for (const [name, value] of entries) {
    const isValue = value === null || ["number", "boolean", "string"].includes(typeof value);
    chars += name.length + (typeof value === "string" ? value.length : 0);
    if (!isValue || chars > valuesCharsMax) return undefined;
  }
  return entries.length > pointsMax ? undefined : Object.fromEntries(entries);
}

/** Checks what came as the state of a command of this gateway, and keeps what is known of it; undefined: it is none. */
export function readState(gateway: string, value: unknown): CommandState | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const given = value as Record<string, unknown>;
  const { v, id, gw, dev, state, at } = given as Partial<CommandState>;
  const isSound =
    v === 1 &&
    typeof id === "string" &&
    idPattern.test(id) &&
    gw === gateway &&
    typeof dev === "string" &&
    dev.length <= 100 &&
    stages.includes(state as CommandStage) &&
    Number.isSafeInteger(at) &&
    (at as number) >= 0;
  if (!isSound) return undefined;
  const kept: Record<string, unknown> = { v, id, gw, dev, state, at };
  for (const [key, charsMax] of Object.entries(texts)) {
    const text = given[key];
    if (typeof text === "string") kept[key] = text.slice(0, charsMax);
  }
  for (const key of values) {
    const read = readValues(given[key]);
    if (read !== undefined) kept[key] = read;
  }
  for (const key of numbers) if (Number.isFinite(given[key])) kept[key] = given[key];
  for (const key of flags) if (given[key] === true) kept[key] = true;
  if (sources.includes(given["source"] as CommandSource)) kept["source"] = given["source"];
  return kept as unknown as CommandState;
}

/** The same of the bytes of a message. */
export function parseState(gateway: string, payload: Uint8Array): CommandState | undefined {
  if (payload.length > bytesMax) return undefined;
  try {
    return readState(gateway, JSON.parse(Buffer.from(payload).toString("utf8")));
  } catch {
    return undefined;
  }
}

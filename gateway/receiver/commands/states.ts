import type { CommandStage, CommandState } from "../../commands/state.ts";

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
const bytesMax = 65_536;
const idPattern = /^[0-9A-Z]{26}$/;

/** Checks what came as the state of a command of this gateway; undefined: it is none. */
export function readState(gateway: string, value: unknown): CommandState | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { v, id, gw, dev, state, at } = value as Partial<CommandState>;
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
  return isSound ? (value as CommandState) : undefined;
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

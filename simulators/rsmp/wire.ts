import { randomUUID } from "node:crypto";

/** RSMP packets on the site's side: JSON and a form feed. Its own code, not the driver's. */

export type Message = Record<string, unknown> & { type: string };

/** Cuts what comes into messages; text that is no JSON object becomes undefined. */
export class Splitter {
  #text = "";
  readonly #decoder = new TextDecoder();

  push(chunk: Uint8Array): (Message | undefined)[] {
    this.#text += this.#decoder.decode(chunk, { stream: true });
    const pieces = this.#text.split("\f");
    this.#text = (pieces.pop() ?? "").slice(-4_000_000);
    return pieces.filter((piece) => piece.trim() !== "").map(messageOf);
  }
}

function messageOf(text: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return { ...value, type: String((value as { type?: unknown }).type) };
  } catch {
    return undefined;
  }
}

export function withId(type: string, body: object): Message & { mId: string } {
  return { mType: "rSMsg", type, mId: randomUUID(), ...body };
}

export function acknowledgement(message: Message, rea?: string): Message {
  const kind = rea === undefined ? { type: "MessageAck" } : { type: "MessageNotAck" };
  return { mType: "rSMsg", ...kind, oMId: message["mId"], ...(rea === undefined ? {} : { rea }) };
}

export function wrapped(message: Message): string {
  return `${JSON.stringify(message)}\f`;
}

/** The objects in a list; whatever else stands there is left out. */
export function objectsOf<Item extends object>(value: unknown): Partial<Item>[] {
  return Array.isArray(value)
    ? value.filter((item): item is Item => typeof item === "object" && item !== null)
    : [];
}

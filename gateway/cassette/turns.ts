import type { Cassette, Frame } from "./cassette.ts";

/** A recorded conversation as turns: what kerb said at a time, and what came until it spoke again. */

export interface Bytes {
  bytes: Buffer;
  hidden: Uint8Array;
}

interface Answer extends Bytes {
  /** After the frame before it. */
  gapMs: number;
}

export interface Turn {
  request: Bytes;
  answers: Answer[];
}

/** One recorded connection. */
export interface Side {
  /** What the device said before kerb said anything. */
  greeting: Answer[];
  turns: Turn[];
}

export function joined(parts: readonly Bytes[]): Bytes {
  return {
    bytes: Buffer.concat(parts.map(({ bytes }) => bytes)),
    hidden: Uint8Array.from(parts.flatMap(({ hidden }) => [...hidden])),
  };
}

/** On a stream what kerb says without a pause for an answer is one request; a datagram is always one. */
function sideOf(frames: readonly Frame[], isStream: boolean): Side {
  const side: Side = { greeting: [], turns: [] };
  let beforeMs = frames[0]?.ms ?? 0;
  for (const { ms, from, bytes, hidden } of frames) {
    const last = side.turns.at(-1);
    if (from === "device") (last?.answers ?? side.greeting).push({ bytes, hidden, gapMs: ms - beforeMs });
    else if (isStream && last !== undefined && last.answers.length === 0)
      last.request = joined([last.request, { bytes, hidden }]);
    else side.turns.push({ request: { bytes, hidden }, answers: [] });
    beforeMs = ms;
  }
  return side;
}

export function sidesOf({ connections, over }: Pick<Cassette, "connections" | "over">): Side[] {
  return connections.map((frames) => sideOf(frames, over === "tcp"));
}

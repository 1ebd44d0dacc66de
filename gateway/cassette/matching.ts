import { type Bytes, joined, type Turn } from "./turns.ts";

/**
 * Finds the recorded turn that a request is, and makes its answer fit. What differs from one conversation to the
 * next (transaction numbers) is known by its being echoed, never by a protocol.
 */

/** The longest number that counts requests. */
const counterBytesMax = 4;

/** Is byte `at` of the request told back at the same place of the answer? */
function isEchoed({ request, answers }: Turn, at: number): boolean {
  const { bytes, hidden } = joined(answers);
  return bytes[at] === request.bytes[at] && hidden[at] !== 1 && request.hidden[at] !== 1;
}

function differences(one: Bytes, other: Buffer): number[] {
  const found: number[] = [];
  for (let i = 0; i < one.bytes.length; i++) {
    if (one.hidden[i] !== 1 && one.bytes[i] !== other[i]) found.push(i);
    if (found.length > counterBytesMax) break;
  }
  return found;
}

/** Texts count nothing in single bytes; what looks like it there is the name of what is asked for. */
const isText = ({ request }: Turn): boolean =>
  request.bytes.every((byte) => byte < 0x7f && (byte >= 0x20 || (byte > 0 && byte < 0x0e)));

/**
 * Offsets of a number that counts requests: where two requests differ that are otherwise the same, where no two
 * are the same, and which every answer tells back. Also the byte before, into which it counts on.
 */
export function counterOffsets(turns: readonly Turn[]): ReadonlySet<number> {
  const answered = turns.filter(({ request, answers }) => request.bytes.length > 0 && answers.length > 0);
  const offsets = new Set<number>();
  if (answered.every(isText)) return offsets;
  const always = (at: number): boolean => answered.every((turn) => isEchoed(turn, at));
  for (const alike of Map.groupBy(answered, ({ request }) => request.bytes.length).values()) {
    for (const [i, one] of alike.entries()) {
      const other = alike[i + 1];
      const found = other === undefined ? [] : differences(one.request, other.request.bytes);
      const [first = 0, last = Infinity] = [found[0], found.at(-1)];
      const isNarrow = found.length > 0 && last - first < counterBytesMax;
      if (isNarrow && found.every((at) => offsets.has(at) || always(at)))
        for (const at of found) offsets.add(at);
    }
  }
  for (const at of Array.from(offsets)) if (at > 0 && always(at - 1)) offsets.add(at - 1);
  const counted = answered.map(({ request }) => [...offsets].map((at) => request.bytes[at]).join(" "));
  return new Set(counted).size === counted.length ? offsets : new Set();
}

/** How a request stands to a recorded one. */
type Verdict = "same" | "begins" | "other";

function verdict({ bytes, hidden }: Bytes, live: Buffer, counters: ReadonlySet<number>): Verdict {
  const length = Math.min(bytes.length, live.length);
  for (let i = 0; i < length; i++) {
    if (bytes[i] !== live[i] && hidden[i] !== 1 && !counters.has(i)) return "other";
  }
  return live.length < bytes.length ? "begins" : "same";
}

/** Runs of scrubbed bytes. */
function runs({ hidden }: Bytes): { at: number; length: number }[] {
  const found: { at: number; length: number }[] = [];
  for (let at = 0; at < hidden.length; at++) {
    let length = 0;
    while (hidden[at + length] === 1) length++;
    if (length > 0) found.push({ at, length });
    at += length;
  }
  return found;
}

/** The recorded answers with the counters, and what was scrubbed, as the request has them. */
function fitted({ request, answers }: Turn, live: Buffer, counters: ReadonlySet<number>): Buffer[] {
  const whole = joined(answers);
  for (const at of counters) {
    if (at < Math.min(whole.bytes.length, request.bytes.length)) whole.bytes[at] = live[at] ?? 0;
  }
  const asked = runs(request);
  for (const { at, length } of runs(whole)) {
    const same = asked.find((one) => one.length === length);
    if (same !== undefined) live.copy(whole.bytes, at, same.at, same.at + length);
  }
  let at = 0;
  return answers.map(({ bytes }) => {
    at += bytes.length;
    return whole.bytes.subarray(at - bytes.length, at);
  });
}

export type Fit = (turn: Turn, live: Buffer) => { answers: Buffer[]; used: number } | "begins" | undefined;

/** Requests that are the recorded ones byte by byte, but for what was scrubbed and for the `counters`. */
export function bytewise(counters: ReadonlySet<number>): Fit {
  return (turn, live) => {
    const found = verdict(turn.request, live, counters);
    if (found === "other") return undefined;
    if (found === "begins") return "begins";
    return { answers: fitted(turn, live, counters), used: turn.request.bytes.length };
  };
}

/** A request's turn: the next such one from `cursor` on, else the last such one before it; the first fit that has one. */
export function findTurn(turns: readonly Turn[], cursor: number, live: Buffer, fits: readonly Fit[]) {
  const order = [...turns.keys()];
  const inOrder = [...order.slice(cursor), ...order.slice(0, cursor).reverse()];
  let isBeginning = false;
  for (const fit of fits) {
    for (const index of inOrder) {
      const turn = turns[index] as Turn;
      const found = turn.request.bytes.length === 0 ? undefined : fit(turn, live);
      if (found === "begins") isBeginning = true;
      else if (found !== undefined) {
        const answers = found.answers.map((bytes, i) => ({ bytes, gapMs: turn.answers[i]?.gapMs ?? 0 }));
        return { index, used: found.used, answers };
      }
    }
  }
  return isBeginning ? "begins" : undefined;
}

import {
  chainStart,
  linesOf,
  readHead,
  readLine,
  segmentFile,
  segmentsOf,
  type Tip,
} from "./journal-lines.ts";

/**
 * Where a chain breaks first. changed: a line is not what was written · missing: records before it are gone ·
 * moved: it stands where another one did · segment-missing: a whole file is gone · tail-missing: the newest records
 * are gone · rewritten: the record that the head names has another hash.
 */
interface JournalBreak {
  what: "changed" | "missing" | "moved" | "segment-missing" | "tail-missing" | "rewritten";
  segment: number;
  /** Of that segment, from 1. */
  line: number;
  /** "journal-000001.ndjson:7" */
  place: string;
  reason: string;
}

/** What the gateway itself has told of its journal: an end that was cut off, records that were lost. */
interface Declared {
  place: string;
  bytes?: number;
  lost?: number;
  broken?: string;
}

/** `from`, `to`: numbers of the records that are there; `torn`: bytes of a line that is not finished (yet). */
export interface JournalCheck {
  records: number;
  from: number;
  to: number;
  hash: string;
  break?: JournalBreak;
  declared: Declared[];
  torn?: number;
  /** False: there is no head to tell a tail that was cut off. */
  hasHead: boolean;
}

/** One pass over a folder. */
class Walk {
  tip: Tip | undefined;
  records = 0;
  from = 0;
  broken: JournalBreak | undefined;
  torn: { bytes: number; segment: number; line: number } | undefined;
  readonly declared: Declared[] = [];
  readonly #headN: number | undefined;
  headHash: string | undefined;

  constructor(headN: number | undefined) {
    this.#headN = headN;
  }

  break(what: JournalBreak["what"], segment: number, line: number, reason: string): void {
    this.broken ??= { what, segment, line, place: `${segmentFile(segment)}:${line}`, reason };
  }

  line(text: string, segment: number, line: number): void {
    const entry = readLine(text);
    if (entry === undefined)
      return this.break("changed", segment, line, "this is not the line that was written");
    const { n, prev, hash } = entry;
    const lost = entry.ev === "opened" && typeof entry["lost"] === "number" ? entry["lost"] : 0;
    // The oldest segments are dropped in time: what is there first is where the chain begins.
    const before = this.tip ?? (segment === 1 ? chainStart : { n: n - 1 - lost, hash: prev });
    if (n > before.n + 1 + lost)
      this.break("missing", segment, line, `record ${n} follows ${before.n}: those between are gone`);
    else if (n !== before.n + 1 + lost) this.break("moved", segment, line, `record ${n} follows ${before.n}`);
    else if (prev !== before.hash)
      this.break("changed", segment, line, `record ${n} follows another one than the one before it`);
    this.tip = { n, hash };
    this.records++;
    this.from ||= n;
    if (n === this.#headN) this.headHash = hash;
    const { bytes, broken } = entry as { bytes?: number; broken?: string };
    if (entry.ev !== "opened" || (bytes === undefined && lost === 0 && broken === undefined)) return;
    this.declared.push({
      place: `${segmentFile(segment)}:${line}`,
      ...(bytes === undefined ? {} : { bytes }),
      ...(lost === 0 ? {} : { lost }),
      ...(broken === undefined ? {} : { broken }),
    });
  }
}

/** Checks the journal of a folder, also while a gateway writes to it. Names the first break; the head tells a cut tail. */
export async function checkJournal(folder: string): Promise<JournalCheck> {
  // Before the lines: it is never newer than what is there when it is read.
  const head = await readHead(folder);
  const segments = await segmentsOf(folder);
  const walk = new Walk(head?.n);
  const [first = 1] = segments;
  if (first > 1 && head !== undefined && segments.length < head.kept)
    walk.break("segment-missing", first, 1, `the segments before it are gone, and ${head.kept} are kept`);
  let before = first - 1;
  for (const segment of segments) {
    if (segment !== before + 1)
      walk.break("segment-missing", segment, 1, `there is no ${segmentFile(before + 1)} before it`);
    before = segment;
    for await (const { text, line, isWhole } of linesOf(folder, segment)) {
      if (isWhole) walk.line(text, segment, line);
      else if (segment === segments.at(-1)) walk.torn = { bytes: Buffer.byteLength(text), segment, line };
      else walk.break("changed", segment, line, "the segment ends in the middle of a line");
    }
  }
  const { tip = chainStart, torn, broken } = walk;
  if (broken === undefined && head !== undefined && head.n > tip.n)
    walk.break(
      "tail-missing",
      Math.max(before, 1),
      torn?.line ?? 1,
      `it ends at record ${tip.n}, and there were ${head.n}`,
    );
  if (head !== undefined && walk.headHash !== undefined && walk.headHash !== head.hash)
    walk.break("rewritten", before, 1, `record ${head.n} is not the one that the head names`);
  return {
    records: walk.records,
    from: walk.from,
    to: tip.n,
    hash: tip.hash,
    ...(walk.broken === undefined ? {} : { break: walk.broken }),
    declared: walk.declared,
    ...(torn === undefined ? {} : { torn: torn.bytes }),
    hasHead: head !== undefined,
  };
}

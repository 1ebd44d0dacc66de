import type { Cassette, ExpectedReading, ExpectedRecord } from "./cassette.ts";

/** The readings that came of a recording, held against those that come of it now. */

/** A reading as the host shows it. */
interface Shown {
  point: string;
  value: unknown;
  unit: string;
  decimals: number;
  status: "good" | "uncertain" | "bad";
  code?: string;
  unheard?: true;
}

/** What came of one conversation. */
export interface Outcome {
  identity: Record<string, string>;
  reads: Record<string, ExpectedReading>[];
  records: ExpectedRecord[];
}

/** One thing that is not as it was. `point`: its name, "record NAME" or "identity NAME". */
export interface Difference {
  point: string;
  /** Which read, from 1; 0: none. */
  read: number;
  expected: string;
  found: string;
}

export function expectedRead(readings: readonly Shown[]): Record<string, ExpectedReading> {
  return Object.fromEntries(
    readings
      .filter(({ unheard }) => unheard !== true)
      .map(({ point, value, unit, decimals, status, code }) => {
        const plain = typeof value === "bigint" ? String(value) : (value as ExpectedReading["value"]);
        return [point, { value: plain, unit, decimals, status, ...(code === undefined ? {} : { code }) }];
      }),
  );
}

/** A record without its time, and without its personal fields: `personal` are "record.field". */
export function expectedRecord(
  { kind, data }: { kind: string; data: Record<string, unknown> },
  personal: ReadonlySet<string>,
): ExpectedRecord {
  const { privacy: _privacy, legalBasis: _basis, values, ...rest } = data;
  const kept = Object.entries((values ?? {}) as Record<string, unknown>).filter(
    ([name]) => !personal.has(`${String(data["record"])}.${name}`),
  );
  return { kind, data: { ...rest, values: Object.fromEntries(kept) } };
}

function shown({ value, unit, status, code }: ExpectedReading): string {
  const parts = [String(value), unit === "1" ? "" : unit, status, code ?? ""];
  return parts.filter((part) => part !== "").join(" ");
}

function isEqual(expected: ExpectedReading, found: ExpectedReading): boolean {
  if (expected.unit !== found.unit || expected.status !== found.status || expected.code !== found.code)
    return false;
  if (typeof expected.value !== "number" || typeof found.value !== "number")
    return expected.value === found.value;
  // What is within half of the last digit is the same to whoever reads it.
  return Math.abs(expected.value - found.value) <= 0.500_001 * 10 ** -expected.decimals;
}

const nothing = "nothing";

function readDifferences(expected: Outcome["reads"], found: Outcome["reads"]): Difference[] {
  return expected.flatMap((points, i) =>
    Object.entries(points).flatMap(([point, one]) => {
      const now = found[i]?.[point];
      if (now !== undefined && isEqual(one, now)) return [];
      return [{ point, read: i + 1, expected: shown(one), found: now === undefined ? nothing : shown(now) }];
    }),
  );
}

const recordName = ({ data }: ExpectedRecord): string => `record ${String(data["record"])}`;

function recordDifferences(
  expected: readonly ExpectedRecord[],
  found: readonly ExpectedRecord[],
): Difference[] {
  const names = new Set(expected.map(recordName));
  return [...names].flatMap((name) => {
    const [was, is] = [expected, found].map((list) =>
      list.filter((one) => recordName(one) === name).map((one) => JSON.stringify(one)),
    ) as [string[], string[]];
    const at = was.findIndex((one, i) => one !== is[i]);
    if (at < 0 && was.length === is.length) return [];
    const index = at < 0 ? was.length : at;
    return [{ point: name, read: 0, expected: was[index] ?? nothing, found: is[index] ?? nothing }];
  });
}

/** What differs, point by point. What the cassette does not name is not compared. */
export function differences(
  cassette: Pick<Cassette, "identity" | "reads" | "records">,
  found: Outcome,
): Difference[] {
  const identity = Object.entries(cassette.identity).flatMap(([name, expected]) => {
    const now = found.identity[name] ?? nothing;
    return now === expected ? [] : [{ point: `identity ${name}`, read: 0, expected, found: now }];
  });
  return [
    ...identity,
    ...readDifferences(cassette.reads, found.reads),
    ...recordDifferences(cassette.records, found.records),
  ];
}

/** The cassette without what differs; `unstable` names it. */
export function withoutUnstable(cassette: Cassette, found: readonly Difference[]): Cassette {
  const names = new Set(found.map(({ point }) => point));
  const { identity, reads, records } = cassette;
  return {
    ...cassette,
    unstable: [...names],
    identity: Object.fromEntries(Object.entries(identity).filter(([name]) => !names.has(`identity ${name}`))),
    reads: reads.map((read) => Object.fromEntries(Object.entries(read).filter(([name]) => !names.has(name)))),
    records: records.filter((record) => !names.has(recordName(record))),
  };
}

import type { Values } from "./values.ts";

/** What a pretend instrument is made of. */
export interface Instrument {
  readonly values: Values;
  readonly station: string;
  readonly identity: { vendor?: string; model?: string; firmware?: string; serial?: string };
  /** What its clock shows, ms since 1970 UTC, and the offset in which it writes it. */
  now(): number;
  readonly zoneMinutes: number;
}

/** Bytes that leave at once, and bytes that leave by themselves a while after them. */
export interface Reply {
  readonly bytes: string;
  readonly after?: { readonly bytes: string; readonly ms: number };
}

export type Told = Record<string, number | string | boolean>;

/** One dialect with its own encoding: what an instrument answers, and what it tells by itself. */
export interface Dialect {
  /** How many characters the first whole request in a text has; 0 = it is not whole yet. */
  requestLength?(text: string): number;
  /** undefined: the request is not for this instrument, or none. */
  answer?(request: string): Reply | undefined;
  /** What it says instead where it must refuse and has no listener to close. */
  refusal?(request: string): Reply | undefined;
  /** What it tells by itself, every so often. */
  readonly everyMs?: number;
  stream?(): string;
  /** The frames that tell one record, in their order. */
  tell?(record: string, told: Told): string[];
}

export type MakeDialect = (instrument: Instrument) => Dialect;

/** "2026-03-04 05:06:07" in the instrument's offset. */
export function localTime({ now, zoneMinutes }: Pick<Instrument, "now" | "zoneMinutes">): string {
  return new Date(now() + zoneMinutes * 60_000).toISOString().slice(0, 19).replace("T", " ");
}

import type { Language } from "../config/error-texts.ts";
import type { Facts, Identity, Rung } from "../driver.ts";
import type { ErrorCode } from "../errors.ts";
import type { LatestReading } from "../host/messages.ts";
import { printable } from "../printable.ts";
import { seenInVietnamese } from "./vietnamese.ts";

/** What `kerb why`, `device add`, `doctor` and `problems` share: the steps of the ladder and what follows of them. */

export type Text = Record<Language, string>;

/** failed: this rung does not bear; unknown: nobody could tell; skipped: a rung below has failed, or it was not asked. */
export type Verdict = "ok" | "failed" | "unknown" | "skipped";

export interface Step {
  step: Rung;
  verdict: Verdict;
  evidence: Text;
  /** How long it took to find out; absent: it was known. */
  ms?: number;
}

/** A cause by its code in the table of errors, and what was seen that speaks for it. */
export interface Finding {
  code: ErrorCode;
  /** warn: the device works, and something about it is wrong. */
  severity: "bad" | "warn";
  step: Rung;
  seen: Text;
}

/** What is known of one device. */
export interface Diagnosed {
  device: string;
  steps: Step[];
  /** The first rung that does not bear; absent: none. */
  failed?: Rung;
  /** The first that fits a failed rung; of a device that works, all that is wrong with it. Empty: no known cause. */
  causes: Finding[];
  /** Everything that the rules could see. */
  facts: Facts;
  /** Who it says that it is; empty: it has not answered, or says nothing of itself. */
  identity: Identity;
  /** Its values; empty: it has none, or has not answered. */
  readings: readonly LatestReading[];
}

/** A text that is the same in every language: an address, a number. */
export function plain(text: string): Text {
  return { en: text, vi: text };
}

/** What a driver or a host says of a device, safe for a terminal. */
export function said(text: string): Text {
  return { en: printable(text), vi: printable(seenInVietnamese(text)) };
}

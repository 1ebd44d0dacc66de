import { afterEach, expect } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection, Answer, RecordPhase, Sink } from "../../gateway/driver.ts";
import { type Address, address as addressSchema } from "./settings.ts";
import { ScriptedSite, met, type Message } from "./testing.ts";

/** What the tests with a site played by hand share: points, times, and somebody who listens. */

const open: (ScriptedSite | Connection<Address>)[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) {
    if (one instanceof ScriptedSite) one.hangUp();
    else await one.close();
  }
});

/** Ends it after the test. */
export function keep<One extends ScriptedSite | Connection<Address>>(one: One): One {
  open.push(one);
  return one;
}

/** As `met`; both ends are gone after the test. */
export async function together(
  more: Record<string, unknown> = {},
  versions: readonly string[] = ["3.2.2"],
): ReturnType<typeof met> {
  const rig = await met(more, versions);
  keep(rig.site);
  keep(rig.connection);
  return rig;
}

export const point = (name: string, given: unknown) => ({ name, address: addressSchema.parse(given) });
export const now = (offsetMs = 0) => new Date(Date.now() + offsetMs).toISOString();
export const at = (minute: number) => `2026-03-01T08:0${minute}:00.000Z`;
export const itemsOf = (message: Message) =>
  message["sS"] as { sCI: string; n: string; uRt?: string; sOc?: boolean }[];

export class Heard implements Sink {
  readonly values: { index: number; answer: Answer }[] = [];
  readonly records: {
    index: number;
    answers: readonly (Answer | undefined)[];
    about: { phase?: RecordPhase; sourceTimeMs?: number; past?: boolean } | undefined;
  }[] = [];
  readonly polled: number[] = [];
  signs = 0;
  alive(): void {
    this.signs++;
  }
  readings(values: readonly { index: number; answer: Answer }[]): void {
    this.values.push(...values);
  }
  record(...[index, answers, about]: Parameters<Sink["record"]>): void {
    this.records.push({ index, answers, about });
  }
  poll(index: number): void {
    this.polled.push(index);
  }
}

export async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !isSo(); i++) await sleep(10);
  expect(isSo()).toBe(true);
}

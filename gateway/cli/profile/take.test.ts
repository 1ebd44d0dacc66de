import { expect, it } from "vitest";
import { openTap } from "../../cassette/tap.ts";
import type { WireEar } from "../../driver.ts";
import { settled } from "./take.ts";

/** A tap that is told by its driver, and the driver's side of it. */
async function told() {
  let ear: WireEar | undefined;
  const tap = await openTap({
    over: "opcua",
    host: "127.0.0.1",
    port: 4840,
    moved: (place) => place,
    instead: {},
    async overhear(given) {
      ear = given;
      return () => (ear = undefined);
    },
  });
  const said = (...from: ("kerb" | "device")[]) => {
    for (const one of from) ear?.said(one, Buffer.from([1]));
  };
  return { tap, said, kept: () => tap.tape.connections.flat().length, isHeard: () => ear !== undefined };
}

it("a tap that is told by its driver tells news from answers, and is told nothing after it was closed", async () => {
  const { tap, said, kept, isHeard } = await told();
  said("kerb", "device", "kerb", "device");
  expect([tap.tape.news, kept()]).toEqual([0, 4]);
  said("device");
  expect([tap.tape.news, kept()]).toEqual([1, 5]);
  await tap.close();
  expect(isHeard()).toBe(false);
});

it("the last read is asked for again while something is told meanwhile, and ends the tape", async () => {
  const { tap, said, kept } = await told();
  let count = 0;
  const read = async () => {
    said("kerb", "device");
    if (++count < 3) said("device");
    return [{ point: "level", value: count, unit: "m", decimals: 0, status: "good" as const, timeMs: 0 }];
  };
  const reads = await settled({ read: read as never }, tap.tape);
  expect(reads.map(({ level }) => level?.value)).toEqual([undefined, undefined, undefined, 3]);
  const before = kept();
  said("kerb", "device", "device");
  expect([before, kept(), tap.tape.isKeeping, tap.tape.full]).toEqual([8, 8, false, undefined]);
});

it("a device that never stops telling is read all the same", async () => {
  const { tap, said } = await told();
  const telling = setInterval(() => said("device"), 5);
  const read = async () => {
    said("device");
    return [];
  };
  expect((await settled({ read }, tap.tape)).length).toBeGreaterThan(2);
  clearInterval(telling);
});

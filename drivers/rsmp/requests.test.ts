import { describe, expect, test } from "vitest";
import type { Answer } from "../../gateway/driver.ts";
import { commandOf, partsOf, requestedAnswer } from "./requests.ts";
import { address as addressSchema, type RequestedAddress } from "./settings.ts";
import { bad, buffered } from "./values.ts";

/** What was asked of a site, from what it shows; and the command that asks for it. */

const asked = (requested: "plan" | "mode", more = {}): RequestedAddress =>
  addressSchema.parse({ requested, ...more }) as RequestedAddress;

const parts = (told: Record<string, Answer>) => new Map(Object.entries(told));
const plan = (told: Record<string, Answer>) => requestedAnswer(asked("plan"), parts(told));
const mode = (intersection: number, status: string, source: string, numbers = "1,2") =>
  requestedAnswer(asked("mode", { intersection }), parts({ intersection: numbers, status, source }));
const names = (address: RequestedAddress) => partsOf(address).map(({ status, name }) => `${status} ${name}`);
const timeout = (value: string) =>
  Object.fromEntries((commandOf(asked("mode"), value) as { values: [string, string][] }).values)["timeout"];

describe("what was asked for", () => {
  test("is a plan only where an order from outside is why it runs", () => {
    expect(plan({ status: "3", source: "forced" })).toEqual({ value: 3, status: "good" });
    for (const source of ["calendar_clock", "operator_panel", "startup", "other", "", "unforced"])
      expect(plan({ status: "3", source })).toEqual({ value: 0, status: "good" });
    expect(plan({ status: "three", source: "forced" })).toMatchObject({
      value: null,
      status: "bad",
      code: "rsmp-type",
    });
  });

  test("is yellow flash where the intersection flashes by order, and not by a fault", () => {
    const ordered = "forced,forced";
    expect(mode(0, "True,True", ordered)).toMatchObject({ value: "YellowFlash", status: "good" });
    expect(mode(0, "False,False", ordered)).toMatchObject({ value: "NormalControl" });
    expect(mode(0, "True,True", "startup,other")).toMatchObject({ value: "NormalControl" });
    expect(mode(0, "True,False", ordered)).toMatchObject({ value: null, status: "bad", code: "rsmp-mixed" });
    expect(mode(2, "False,True", "calendar_clock,forced")).toMatchObject({ value: "YellowFlash" });
    expect(mode(1, "False,True", "calendar_clock,forced")).toMatchObject({ value: "NormalControl" });
    expect(mode(7, "False,True", ordered)).toMatchObject({ value: null, code: "rsmp-absent" });
    // One entry for all of the site.
    expect(mode(3, "True", "forced", "0")).toMatchObject({ value: "YellowFlash" });
  });

  test("is not known where a part is not or is not told", () => {
    const good = { value: "3", status: "good", sourceTimeMs: 7 } as const;
    expect(plan({ status: good, source: bad("rsmp-not-ack", "unknown name source") })).toMatchObject({
      value: null,
      status: "bad",
      code: "rsmp-not-ack",
    });
    expect(plan({})).toMatchObject({ value: null, status: "bad" });
    expect(plan({ status: good, source: { ...good, value: "forced", sourceTimeMs: 5 } })).toEqual({
      value: 3,
      status: "good",
      sourceTimeMs: 5,
    });
  });

  test("is of the past where all parts are, and not known where some are", () => {
    const raw = new Uint8Array([34, 51, 34]);
    const now = { value: "3", status: "good", sourceTimeMs: 9, raw } as const;
    const old = { ...now, ...buffered, sourceTimeMs: 7 };
    const then = { ...old, value: "forced", sourceTimeMs: 8 };
    expect(plan({ status: old, source: then })).toEqual({
      value: 3,
      status: "good",
      code: "rsmp-old",
      reason: "buffered by the site",
      past: true,
      sourceTimeMs: 7,
    });
    for (const told of [
      { status: now, source: then },
      { status: old, source: { ...now, value: "forced" } },
    ])
      expect(plan(told)).toEqual({
        value: null,
        status: "bad",
        code: "rsmp-mixed",
        reason: expect.stringContaining("buffered") as string,
      });
    // What is wrong with a part is said first, and is of the past only with all of them.
    const wrong = { ...bad("rsmp-absent", "no item"), past: true, raw };
    expect(plan({ status: now, source: wrong })).toEqual(bad("rsmp-absent", "no item"));
    expect(plan({ status: old, source: wrong })).toEqual({ ...bad("rsmp-absent", "no item"), past: true });
    expect(plan({ status: { ...old, value: "three" }, source: then })).toMatchObject({
      code: "rsmp-type",
      past: true,
    });
  });

  test("is read from statuses of the exchange list", () => {
    expect(names(asked("plan"))).toEqual(["S0014 status", "S0014 source"]);
    expect(names(asked("mode"))).toEqual(["S0011 intersection", "S0011 status", "S0011 source"]);
  });
});

describe("the command", () => {
  test("asks for a plan, and with 0 gives it back to the controller", () => {
    expect(commandOf(asked("plan"), 3)).toMatchObject({
      command: "M0002",
      name: "timeplan",
      values: [
        ["status", "True"],
        ["timeplan", "3"],
      ],
    });
    expect(commandOf(asked("plan"), 0)).toMatchObject({
      name: "status",
      values: [
        ["status", "False"],
        ["timeplan", "1"],
      ],
    });
    for (const value of [-1, 256, 1.5, "3", true, 3n])
      expect(commandOf(asked("plan"), value)).toMatch(/whole number/);
  });

  test("lets a flash lapse by itself, and never what ends it", () => {
    expect([timeout("YellowFlash"), timeout("NormalControl")]).toEqual(["60", "0"]);
  });
});

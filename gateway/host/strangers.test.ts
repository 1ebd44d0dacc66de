import { describe, expect, it } from "vitest";
import { type StrangerEvent, Strangers } from "./strangers.ts";

const hourMs = 3_600_000;

function setUp() {
  const told: StrangerEvent[] = [];
  return { told, strangers: new Strangers("rsmp", (data) => told.push(data)) };
}

describe("callers that no device may be", () => {
  it("are told of once an hour each, and counted each time", () => {
    const { told, strangers } = setUp();
    for (const nowMs of [0, 1, 2, hourMs - 1]) strangers.report("RN+SI0009", "not in the site file", nowMs);
    expect(told).toEqual([
      {
        state: "unknown-device",
        driver: "rsmp",
        name: "RN+SI0009",
        reason: "not in the site file",
        calls: 1,
      },
    ]);
    strangers.report("RN+SI0009", "not in the site file", hourMs);
    expect(told.map(({ calls }) => calls)).toEqual([1, 5]);
  });

  it("that make up ids without end cost twenty events an hour", () => {
    const { told, strangers } = setUp();
    for (let i = 0; i < 100_000; i++) strangers.report(`made-up-${i}`, "no", i / 100);
    expect(told).toHaveLength(20);
    expect(told.at(-1)?.reason).toMatch(/further names are only counted/);
    expect(strangers.calls).toBe(100_000);
    expect(strangers.last).toBe("made-up-99999");
    strangers.report("the next hour", "no", hourMs + 1);
    expect(told.at(-1)).toMatchObject({ name: "the next hour", calls: 100_001 });
  });

  it("can put neither long texts nor control characters into an event", () => {
    const { told, strangers } = setUp();
    strangers.report(`\u001b[2J${"x".repeat(10_000)}`, "y".repeat(10_000));
    expect(told[0]?.name).toMatch(/^\ufffd\[2Jx{196}$/);
    expect(told[0]?.reason).toHaveLength(200);
  });
});

import { expect, it } from "vitest";
import { backOffMs } from "./back-off.ts";

it("a device is tried again after 1 s, then more seldom, a refused login far more seldom", () => {
  expect([1, 2, 3, 9].map((failures) => backOffMs(failures, "silent", 0.5))).toEqual([
    1000, 2000, 4000, 30_000,
  ]);
  expect([1, 2, 9].map((failures) => backOffMs(failures, "denied", 0.5))).toEqual([10_000, 20_000, 600_000]);
  expect([backOffMs(1, "silent", 0), backOffMs(1, "silent", 1)]).toEqual([750, 1250]);
});

import { expect, it } from "vitest";
import { within } from "./identify.ts";

const never = () => new Promise<never>(() => {});

it("does not wait for a driver that ignores its signal", async () => {
  const startedMs = performance.now();
  await expect(within(50, new AbortController().signal, never)).rejects.toMatchObject({ code: "silent" });
  expect(performance.now() - startedMs).toBeLessThan(1000);
});

it("does not wait for it at the caller's abort either", async () => {
  await expect(within(60_000, AbortSignal.timeout(10), never)).rejects.toMatchObject({ code: "aborted" });
});

it("takes an answer that comes in time", async () => {
  expect(await within(1000, new AbortController().signal, () => Promise.resolve(7))).toBe(7);
});

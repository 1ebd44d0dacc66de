import { expect, test } from "vitest";
import { monotonicMs } from "../clock.ts";
import type { HostRequest } from "../host/messages.ts";
import { hostField } from "./host-field.ts";

/** What the desk asks, as a host gets it. */

test("the moment before which a write must begin is that of the sending", async () => {
  const requests: HostRequest[] = [];
  const { execute } = hostField((_device, request) => {
    requests.push(request);
    return Promise.resolve({ state: "done" });
  });
  const order = { device: "d", point: "level", value: 5, timeoutMs: 10_000, beginMs: 700 };
  const beforeMs = monotonicMs();
  await execute(order, new AbortController().signal);
  const [first] = requests as { beginByMs?: number }[];
  expect(first!.beginByMs! - beforeMs).toBeGreaterThanOrEqual(700);
  expect(first!.beginByMs! - monotonicMs()).toBeLessThanOrEqual(700);
});

test("evidence is asked of the host, and what shows as ordered is told as ordered", async () => {
  const requests: HostRequest[] = [];
  const answers = [
    { value: 0.100_000_001_49, isSame: true },
    { value: 4, isSame: false },
    { value: null, code: "unreadable", reason: "not known" },
  ];
  const { read } = hostField((_device, request) => {
    requests.push(request);
    return Promise.resolve(answers.shift());
  });
  const { signal } = new AbortController();
  expect(await read("d", "level", signal, 0.1)).toEqual({ value: 0.1 });
  expect(await read("d", "level", signal, 0.1)).toEqual({ value: 4 });
  expect(await read("d", "level", signal)).toEqual({
    value: null,
    reason: "not known",
  });
  expect(requests).toEqual([
    { name: "shown", device: "d", point: "level", value: 0.1 },
    { name: "shown", device: "d", point: "level", value: 0.1 },
    { name: "shown", device: "d", point: "level" },
  ]);
});

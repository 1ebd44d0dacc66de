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
  const order = { device: "d", point: "level", value: 5, timeoutMs: 10_000 };
  const beforeMs = monotonicMs();
  const timed = { ...order, beginMs: 700 };
  await execute(timed, new AbortController().signal);
  await execute(order, new AbortController().signal);
  const [first, second] = requests as { beginByMs?: number }[];
  expect(first!.beginByMs! - beforeMs).toBeGreaterThanOrEqual(700);
  expect(first!.beginByMs! - monotonicMs()).toBeLessThanOrEqual(700);
  expect(second).toEqual({ name: "write", ...order });
});

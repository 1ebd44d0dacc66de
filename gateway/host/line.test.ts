import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Line } from "./line.ts";

/** Takes turns until the signal aborts, and counts them. */
async function user(line: Line, isUrgent: boolean, signal: AbortSignal): Promise<number> {
  for (let turns = 0; ; turns++) {
    const leave = await line
      .acquire({ isSuspect: false, aliveMs: 0, isUrgent, signal })
      .catch(() => undefined);
    if (leave === undefined) return turns;
    await sleep(2);
    leave();
  }
}

test("writes without end leave each fifth turn to those who read", async () => {
  const line = new Line();
  const over = new AbortController();
  const writers = [1, 2, 3].map(() => user(line, true, over.signal));
  const reader = user(line, false, over.signal);
  await sleep(500);
  over.abort();
  const writes = (await Promise.all(writers)).reduce((sum, turns) => sum + turns, 0);
  const reads = await reader;
  expect(reads).toBeGreaterThan(3);
  expect(writes / reads).toBeGreaterThan(3);
  expect(writes / reads).toBeLessThan(6);
});

test("writes for which nobody waited cost the next one no turn", async () => {
  const line = new Line();
  const claim = { isSuspect: false, aliveMs: 0 };
  for (let i = 0; i < 10; i++) (await line.acquire({ ...claim, isUrgent: true }))();
  const order: string[] = [];
  const leave = await line.acquire({ ...claim, isUrgent: true });
  const take = async (name: string, isUrgent: boolean) => {
    const back = await line.acquire({ ...claim, isUrgent });
    order.push(name);
    back();
  };
  const both = [take("read", false), take("write", true)];
  leave();
  await Promise.all(both);
  expect(order).toEqual(["write", "read"]);
});

import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Browsed, BrowseRequest, Connection, LeftOut } from "../../gateway/driver.ts";
import { leastOf, orCode, runningTimers, settlesAt, type Subject } from "./contract.ts";
import type { Check, Open } from "./push.ts";

/** The part of the contract suite for drivers that list what a device has: `Connection.browse`. */

const abortMs = 200;

async function listed(connection: Connection<unknown>, more: Partial<BrowseRequest> = {}) {
  const entries: Browsed[] = [];
  const left: LeftOut[] = [];
  const { signal } = new AbortController();
  const request = { entriesMax: 500, depthMax: 20, untilMs: performance.now() + 30_000, signal, ...more };
  for await (const one of connection.browse!(request)) {
    if ("left" in one) left.push(one);
    else entries.push(one);
  }
  return { entries, left };
}

const typeOf = (answer: Browsed["answer"]) => typeof (typeof answer === "object" ? answer.value : answer);

export function checkBrowse({ driver, schemas }: Subject, check: Check, open: Open): void {
  check("lists what a device has, with addresses that read what was shown", async () => {
    const rig = await open();
    const connection = await rig.connect();
    const { entries } = await listed(connection);
    const good = entries.filter(({ what, answer, address }) => {
      const { status = "good" } = typeof answer === "object" ? answer : {};
      return what === "value" && address !== undefined && answer !== undefined && status === "good";
    });
    expect(good.length).toBeGreaterThanOrEqual(rig.points.length / 2);
    const points = good.map(({ address }, i) => ({ name: `p${i}`, address: schemas.address.parse(address) }));
    for (const { address } of points) expect(driver.describe(address)).toMatch(/\S/);
    const { signal } = new AbortController();
    const { answers } = await connection.read(points, { signal });
    expect(answers.map(typeOf)).toEqual(good.map(({ answer }) => typeOf(answer)));
    // And it is a device to be read as before.
    rig.expectGood(await connection.read(rig.points, { signal }), rig.points);
  });

  check("lists no more than it is asked for, and says so", async () => {
    const connection = await (await open()).connect();
    const { entries, left } = await listed(connection, { entriesMax: 2 });
    expect(entries).toHaveLength(2);
    expect(left.map((one) => one.left)).toContain("limit");
    const late = await listed(connection, { untilMs: performance.now() - 1 });
    expect(late.entries).toEqual([]);
    expect(late.left.map((one) => one.left)).toEqual(["time"]);
  });

  check("browse gives up when it is aborted, and leaves no timer", async () => {
    const rig = await open({ timeoutMs: 4000 });
    const connection = await rig.connect();
    await rig.fault("silent");
    const timersBefore = await leastOf(runningTimers);
    const aborting = new AbortController();
    const pending = orCode<unknown>(listed(connection, { signal: aborting.signal }));
    await sleep(50);
    const abortedAt = performance.now();
    aborting.abort();
    expect(await pending).toBe("aborted");
    expect(performance.now() - abortedAt).toBeLessThan(abortMs);
    await settlesAt(runningTimers, timersBefore, 1000, "timers");
  });
}

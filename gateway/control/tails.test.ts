import { expect, it } from "vitest";
import { Tails, watchersMax } from "./tails.ts";

it("leaves places at the control socket to those who do not watch", async () => {
  const tails = new Tails(() => {});
  const stop = new AbortController();
  const watching = Array.from({ length: watchersMax }, async () => {
    for await (const event of tails.follow(stop.signal)) expect(event).toBeDefined();
  });
  const late = new AbortController();
  const refused = tails.follow(late.signal).next();
  late.abort();
  await expect(refused).rejects.toThrow(/others watch already/);
  stop.abort();
  await Promise.all(watching);
  const again = new AbortController();
  const next = tails.follow(again.signal).next();
  again.abort();
  expect(await next).toMatchObject({ done: true });
});

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import type { DeviceError } from "../../gateway/driver.ts";
import { driver } from "./index.ts";
import { context, parseExchange, pointsOf, replay, settingsAt } from "./testing.ts";

/** What a server says of its own limits and keys, and what the driver makes of it. */

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

const exchange = parseExchange(readFileSync(new URL("frames/values.txt", import.meta.url), "utf8"));
const { signal } = new AbortController();

/** The recorded server, with other figures in its acknowledgement and for its key's lifetime. */
async function served(acknowledged: readonly number[], lifetimeMs = 3_600_000, more: Buffer[] = []) {
  const answers = exchange.answers.map((answer) => Buffer.from(answer));
  // ACK: type, length and version, then the limits (OPC 10000-6, 7.1.2.4).
  acknowledged.forEach((limit, i) => answers[0]!.writeUInt32LE(limit, 12 + 4 * i));
  // The lifetime stands before the server's nonce, which is empty.
  answers[1]!.writeUInt32LE(lifetimeMs, answers[1]!.length - 8);
  const server = await replay(more.length === 0 ? answers : [answers[0]!, ...more]);
  open.push(server);
  const code = await driver
    .connect(settingsAt(server.port, { timeout: 1000 }), context(), signal)
    .then(async (connection) => {
      open.push(connection);
      await connection.read(pointsOf(...exchange.points), { signal });
      return "answered";
    })
    .catch((error: unknown) => (error as DeviceError).code);
  return { code, server };
}

const usual = [65_536, 65_536, 0, 0] as const;
const all = 0xffff_ffff;

describe("limits", () => {
  test("of a small server are for what is sent to it", async () => {
    expect(Math.max(...exchange.answers.map(({ length }) => length))).toBeGreaterThan(8192);
    expect((await served([8192, 65_536, 8192, 1])).code).toBe("answered");
  });

  test("of a server that has none do not make ours: a message of 1 GB is refused by its head", async () => {
    const head = Buffer.from("OPNF\0\0\0\0", "latin1");
    head.writeUInt32LE(0x3fff_ffff, 4);
    expect((await served([all, all, all, all], 3_600_000, [head])).code).toBe("garbage");
  });
});

describe("a key's lifetime", () => {
  test("that is longer than a timer can wait is no reason to renew it all the time", async () => {
    const { code, server } = await served(usual, all);
    await sleep(300);
    expect(code).toBe("answered");
    expect(server.requests.filter((one) => one.toString("latin1", 0, 3) === "OPN")).toHaveLength(2 - 1);
  });

  test("of nothing ends the channel", async () => {
    expect((await served(usual, 0)).code).toBe("garbage");
  });
});

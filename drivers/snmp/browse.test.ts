import { describe, expect, test } from "vitest";
import type { Browsed, LeftOut } from "../../gateway/driver.ts";
import { answerTo, int, readRequest, tlv } from "./testing.ts";
import { setUp, signal } from "./test-wire.ts";

/** Listing an agent below a place at which it has little, or nothing. */

const noSuchName = 2;
const getNext = 0xa1;
const endOfMibView = tlv(0x82);
const noSuchObject = tlv(0x80);
const leaf = "1.3.6.1.4.1.9.7.0";
/** The encoded arcs behind 1.3.6.1.4.1. */
const isLeaf = (oid: Buffer): boolean => oid.subarray(-3).equals(Buffer.from([9, 7, 0]));

/** An agent with one object; v1 has errors where others have exceptions. */
async function listed(version: "1" | "2c", under: string) {
  const { agent, connection } = await setUp(
    (datagram, reply) => {
      const request = readRequest(datagram);
      const isThere = request.type !== getNext && request.varbinds.every(({ oid }) => isLeaf(oid));
      const none = request.type === getNext ? endOfMibView : noSuchObject;
      const refusal = version === "1" ? { status: noSuchName, index: 1 } : { values: [none] };
      reply(answerTo(request, isThere ? { values: [int(42)] } : refusal));
    },
    { version },
  );
  const found: (Browsed | LeftOut)[] = [];
  const request = { under, entriesMax: 100, depthMax: 1, untilMs: performance.now() + 5000, signal };
  for await (const one of connection.browse!(request)) found.push(one);
  return { found, requests: agent.requests.length };
}

describe.each(["1", "2c"] as const)("browse, version %s", (version) => {
  test("rejects below something that does not exist", async () => {
    await expect(listed(version, "1.3.6.1.4.1.99999")).rejects.toMatchObject({
      code: "rejected",
      message: expect.stringMatching(/1\.3\.6\.1\.4\.1\.99999/) as string,
    });
  });

  test("lists an object by its own OID", async () => {
    const { found, requests } = await listed(version, leaf);
    expect(found).toMatchObject([{ what: "value", address: { oid: leaf, type: "number" }, answer: 42 }]);
    expect(requests).toBe(2);
  });
});

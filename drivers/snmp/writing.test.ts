import { describe, expect, test } from "vitest";
import { answerTo, codeOf, pointsOf, readRequest, tlv } from "./testing.ts";
import { oids, point, setUp, signal } from "./test-wire.ts";

/** Values that a device is told, byte for byte. */

describe("writing", () => {
  test.each([
    [{}, 5, "020105"],
    [{ syntax: "gauge" }, 5, "420105"],
    [{ syntax: "ticks" }, 5, "430105"],
    [{ type: "text" }, "ab", "04026162"],
    [{ type: "hex" }, "01ff", "040201ff"],
    [{ syntax: "ip" }, "10.0.0.1", "40040a000001"],
    [{ syntax: "oid" }, "1.3.6", "06022b06"],
    [{}, true, "020101"],
  ])("%j ← %s is %s on the wire, with the community for writing", async (how, value, wire) => {
    const { agent, connection } = await setUp(
      (datagram, reply) => reply(answerTo(readRequest(datagram), {})),
      {
        writeCommunity: "private",
      },
    );
    await connection.write!(point(how), value, signal);
    const request = readRequest(agent.requests[0]!);
    expect(request.type).toBe(0xa3);
    expect(request.community.toString()).toBe("private");
    expect(request.varbinds[0]!.value.toString("hex")).toBe(wire);
    await connection.read(pointsOf(...oids(1)), { signal }).catch(() => {});
    expect(readRequest(agent.requests[1]!).community.toString()).toBe("public");
  });

  test.each([
    [{}, "ten"],
    [{}, 2 ** 31],
    [{ syntax: "gauge" }, -1],
    [{ type: "hex" }, "xy"],
    [{ syntax: "ip" }, "x"],
  ])("%j ← %s is rejected without a word to the device", async (how, value) => {
    const { agent, connection } = await setUp(() => {});
    expect(await codeOf(connection.write!(point(how), value, signal))).toBe("rejected");
    expect(agent.requests).toHaveLength(0);
  });

  test.each([0x80, 0x81])("a value that comes back as exception %d is no success", async (tag) => {
    const { connection } = await setUp((datagram, reply) =>
      reply(answerTo(readRequest(datagram), { values: [tlv(tag)] })),
    );
    expect(await codeOf(connection.write!(point({}), 1, signal))).toBe("rejected");
  });

  test("a device that says no", async () => {
    const { connection } = await setUp((datagram, reply) =>
      reply(answerTo(readRequest(datagram), { status: 17, index: 1 })),
    );
    await expect(connection.write!(point({}), 1, signal)).rejects.toMatchObject({
      code: "rejected",
      message: expect.stringContaining("notWritable") as string,
    });
  });

  test.each([5, 14, 15])("error-status %d says nothing for sure", async (status) => {
    const { connection } = await setUp((datagram, reply) =>
      reply(answerTo(readRequest(datagram), { status, index: 1 })),
    );
    expect(await codeOf(connection.write!(point({}), 1, signal))).toBe("garbage");
  });

  test.each([
    ["phaseControlGroupVehCall", "1.3.6.1.4.1.1206.4.2.1.1.5.1.6.1"],
    ["preemptControlState", "1.3.6.1.4.1.1206.4.2.1.6.3.1.2.1"],
    ["ringControlGroupForceOff", "1.3.6.1.4.1.1206.4.2.1.7.5.1.3.1"],
    ["vehicleDetectorOptions", "1.3.6.1.4.1.1206.4.2.1.2.2.1.2.1"],
    ["phaseMinimumGreen", "1.3.6.1.4.1.1206.4.2.1.1.2.1.4.1"],
    ["overlapIncludedPhases", "1.3.6.1.4.1.1206.4.2.1.9.2.1.3.1"],
    ["utcControlFn", "1.3.6.1.4.1.13267.3.2.4.2.1.5.1.5.49"],
    ["utcControlLO, which switches the lamps off", "1.3.6.1.4.1.13267.3.2.4.2.1.11.1.5.49"],
  ])("phases are never driven: %s", async (_, oid) => {
    const { agent, connection } = await setUp(() => {});
    expect(await codeOf(connection.write!(point({ oid }), 1, signal))).toBe("unsupported");
    expect(agent.requests).toHaveLength(0);
  });

  test("a plan may be asked for", async () => {
    const { agent, connection } = await setUp((datagram, reply) =>
      reply(answerTo(readRequest(datagram), {})),
    );
    for (const last of [14, 15])
      await connection.write!(point({ oid: `1.3.6.1.4.1.1206.4.2.1.4.${last}.0` }), 3, signal);
    expect(agent.requests).toHaveLength(2);
  });

  test.each([{ type: "bits", bit: 5 }, { type: "stage" }, { type: "bcd" }])(
    "what is a part or a meaning of an object is not written over the whole of it: %j",
    async (how) => {
      const { agent, connection } = await setUp((datagram, reply) =>
        reply(answerTo(readRequest(datagram), {})),
      );
      expect(await codeOf(connection.write!(point(how), 1, signal))).toBe("unsupported");
      expect(agent.requests).toHaveLength(0);
    },
  );
});

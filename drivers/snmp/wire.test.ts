import { createSocket } from "node:dgram";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readHeader } from "./header.ts";
import {
  answerTo,
  bytes,
  codeOf,
  connectTo,
  int,
  pointsOf,
  readRequest,
  scriptedAgent,
  settingsOf,
  text,
  tlv,
  tlvs,
} from "./testing.ts";
import { asked, good, oids, open, setUp, signal, whole } from "./test-wire.ts";

/** What is taken for an answer, what a device refuses, and how slow it may be; byte for byte. */

describe("what is taken for an answer", () => {
  test("request ids do not repeat and are not counted up", async () => {
    const { agent, connection } = await setUp((datagram, reply) => reply(good(datagram)));
    const [points] = [pointsOf(...oids(1))];
    for (let i = 0; i < 50; i++) await connection.read(points, { signal });
    const ids = agent.requests.map((one) => readRequest(one).id.readIntBE(0, readRequest(one).id.length));
    expect(new Set(ids).size).toBe(50);
    const steps = ids.slice(1).map((id, i) => Math.abs(id - ids[i]!));
    expect(steps.filter((step) => step <= 1)).toEqual([]);
  });

  test("an answer that comes a second time, or late, is nobody's", async () => {
    let kept: Buffer | undefined;
    const { connection } = await setUp((datagram, reply, index) => {
      const answer = answerTo(readRequest(datagram), { values: [int(index)] });
      if (kept !== undefined) {
        reply(kept);
        reply(kept);
      }
      if (index !== 1) reply(answer);
      reply(index === 1 ? Buffer.alloc(0) : answer);
      kept = answer;
    });
    const [a, b, c] = [pointsOf(...oids(1)), pointsOf(...oids(1)), pointsOf(...oids(1))];
    expect(await connection.read(a, { signal })).toEqual({ answers: [0] });
    expect(await codeOf(connection.read(b, { signal }))).toMatch(/silent|garbage/);
    expect(await connection.read(c, { signal })).toEqual({ answers: [2] });
  });

  test("an answer from another address or port is ignored", async () => {
    const stranger = createSocket("udp4");
    open.push({ close: async () => void stranger.close() });
    const { connection } = await setUp((datagram, reply, _, from) => {
      stranger.send(answerTo(readRequest(datagram), { values: [int(66)] }), from, "127.0.0.1");
      setTimeout(() => reply(good(datagram)), 50);
    });
    expect(await connection.read(pointsOf(...oids(1)), { signal })).toEqual({ answers: [100] });
  });

  test("another request id is no answer", async () => {
    const { connection } = await setUp((datagram, reply) =>
      reply(answerTo(readRequest(datagram), { values: [int(1)], id: bytes(1, 2, 3) })),
    );
    expect(await codeOf(connection.read(pointsOf(...oids(1)), { signal }))).toBe("silent");
  });

  test.each([
    ["another community", (d: Buffer) => answerTo(readRequest(d), { values: [int(1)], community: "other" })],
    ["the request itself", (d: Buffer) => d],
    [
      "too few objects",
      (d: Buffer) => {
        const request = readRequest(d);
        return answerTo({ ...request, varbinds: [] }, {});
      },
    ],
  ])("%s is garbage", async (_, answer) => {
    const { connection } = await setUp((datagram, reply) => reply(answer(datagram)));
    expect(await codeOf(connection.read(pointsOf(...oids(1)), { signal }))).toBe("garbage");
  });

  test("no error says a community", async () => {
    const { connection } = await setUp(
      (datagram, reply) =>
        reply(answerTo(readRequest(datagram), { values: [int(1)], community: "their-secret" })),
      { community: "our-secret" },
    );
    const call = connection.read(pointsOf(...oids(1)), { signal });
    await expect(call).rejects.toThrow(/answers with another community/);
    await expect(call).rejects.not.toThrow(/secret/);
  });

  test("datagrams that are no SNMP and nothing else are garbage; an answer among them is taken", async () => {
    let isAnswered = false;
    const { connection } = await setUp((datagram, reply) => {
      reply(Buffer.from("GET / HTTP/1.1"));
      if (isAnswered) reply(good(datagram));
    });
    const points = pointsOf(...oids(1));
    expect(await codeOf(connection.read(points, { signal }))).toBe("garbage");
    isAnswered = true;
    expect(await connection.read(points, { signal })).toEqual({ answers: [100] });
  });

  test("an object that nobody asked for is bad, the others are not", async () => {
    const { connection } = await setUp(
      (datagram, reply) => {
        const request = readRequest(datagram);
        const [first, ...others] = request.varbinds;
        const strange = { ...first!, oid: Buffer.from([0x2b, 6, 1, 9, 9]) };
        reply(answerTo({ ...request, varbinds: [strange, ...others] }, { values: [int(1), int(2)] }));
      },
      { maxOidsPerPdu: 2 },
    );
    const { answers } = await connection.read(pointsOf(...oids(2)), { signal });
    expect(answers).toEqual([expect.objectContaining({ status: "bad", code: "wrong-object" }), 2]);
  });

  test("no datagram makes it throw anything but a DeviceError, or stop", async () => {
    let answers: Uint8Array[] = [];
    const { connection } = await setUp(
      (_, reply) => {
        for (const answer of answers) reply(answer);
      },
      { timeout: 50 },
    );
    const points = pointsOf(...oids(1));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 }), async (datagrams) => {
        answers = datagrams;
        expect(await codeOf(connection.read(points, { signal }))).toMatch(/^(silent|garbage)$/);
      }),
      { numRuns: 60 },
    );
  });

  test("no cut or changed answer makes it throw anything but a DeviceError", async () => {
    let change = whole;
    const { connection } = await setUp((datagram, reply) => reply(change(good(datagram))), {
      timeout: 50,
      maxOidsPerPdu: 3,
    });
    const points = pointsOf(...oids(3));
    const outcome = async (): Promise<string> => codeOf(connection.read(points, { signal }));
    for (let cut = 0; cut < 60; cut += 3) {
      change = (answer) => answer.subarray(0, cut);
      expect(await outcome()).toMatch(/^(silent|garbage|resolved)$/);
    }
    await fc.assert(
      fc.asyncProperty(fc.nat(80), fc.nat(255), async (at, octet) => {
        change = (answer) => {
          const changed = Buffer.from(answer);
          if (at < changed.length) changed[at] = octet;
          return changed;
        };
        expect(await outcome()).toMatch(/^(silent|garbage|denied|resolved)$/);
      }),
      { numRuns: 150 },
    );
  });
});

const engine = Buffer.from("80001f8805aabbcc", "hex");
/** A v3 message without protection. */
const plain = (id: Uint8Array, pdu: Uint8Array): Buffer =>
  tlv(
    0x30,
    int(3),
    tlv(0x30, tlv(2, id), int(1400), tlv(4, bytes(0)), int(3)),
    tlv(4, tlv(0x30, tlv(4, engine), int(1), int(100), text(""), text(""), text(""))),
    tlv(0x30, tlv(4, engine), text(""), pdu),
  );
const messageId = (datagram: Buffer): Buffer => tlvs(tlvs(tlvs(datagram)[0]!.body)[1]!.body)[0]!.body;
const oneVarbind = (oid: number[], value: Uint8Array): Buffer =>
  tlv(0x30, tlv(0x30, tlv(6, Buffer.from(oid)), value));

describe("SNMPv3 by hand", () => {
  test("an answer without protection is not taken for one that has it", async () => {
    const unknownEngine = oneVarbind([0x2b, 6, 1, 6, 3, 15, 1, 1, 4, 0], tlv(0x41, bytes(1)));
    const { agent, connection } = await setUp(
      (datagram, reply, index) => {
        const report = tlv(0xa8, int(0), int(0), int(0), unknownEngine);
        const answer = tlv(0xa2, int(0), int(0), int(0), oneVarbind([0x2b, 6, 1, 4, 1, 9, 0], int(66)));
        reply(plain(messageId(datagram), index === 0 ? report : answer));
      },
      { version: "3", security: { user: "u", auth: "sha", authPassword: "authauthauth" } },
    );
    expect(await codeOf(connection.read(pointsOf(...oids(1)), { signal }))).toBe("silent");
    expect(agent.requests).toHaveLength(2);
  });
});

describe("what a device refuses", () => {
  test("tooBig: the request is halved, and stays so", async () => {
    const { agent, connection } = await setUp(
      (datagram, reply) => {
        const request = readRequest(datagram);
        reply(
          request.varbinds.length > 2
            ? answerTo({ ...request, varbinds: [] }, { status: 1 })
            : good(datagram),
        );
      },
      { maxOidsPerPdu: 7 },
    );
    const points = pointsOf(...oids(7));
    const values = [100, 101, 102, 103, 104, 105, 106];
    expect((await connection.read(points, { signal })).answers).toEqual(values);
    const before = agent.requests.length;
    expect((await connection.read(points, { signal })).answers).toEqual(values);
    expect(agent.requests.slice(before).map((one) => asked(one).length)).toEqual([2, 2, 2, 1]);
  });

  test("v1 noSuchName spoils the whole request: asked again without, and from then on alone", async () => {
    const { agent, connection } = await setUp(
      (datagram, reply) => {
        const index = asked(datagram).indexOf(2);
        reply(index < 0 ? good(datagram) : answerTo(readRequest(datagram), { status: 2, index: index + 1 }));
      },
      { version: "1", maxOidsPerPdu: 5 },
    );
    const points = pointsOf(...oids(5));
    const expected = [100, 101, expect.objectContaining({ status: "bad", code: "noSuchName" }), 103, 104];
    expect((await connection.read(points, { signal })).answers).toEqual(expected);
    expect(agent.requests.map(asked)).toEqual([
      [0, 1, 2, 3, 4],
      [0, 1, 3, 4],
    ]);
    expect((await connection.read(points, { signal })).answers).toEqual(expected);
    expect(agent.requests.slice(2).map(asked)).toEqual([[0, 1, 3, 4], [2]]);
  });

  test("v1 noSuchName without an index: found by halving", async () => {
    const { agent, connection } = await setUp(
      (datagram, reply) =>
        reply(asked(datagram).includes(2) ? answerTo(readRequest(datagram), { status: 2 }) : good(datagram)),
      { version: "1", maxOidsPerPdu: 5 },
    );
    const { answers } = await connection.read(pointsOf(...oids(5)), { signal });
    expect(answers).toEqual([100, 101, expect.objectContaining({ code: "noSuchName" }), 103, 104]);
    expect(agent.requests.length).toBeLessThan(9);
  });

  test.each([
    [5, "genErr"],
    [16, "authorizationError"],
    [6, "noAccess"],
    [77, "genErr"],
  ])("error-status %d is a bad reading of that point alone: %s", async (status, code) => {
    const { connection } = await setUp(
      (datagram, reply) => {
        const index = asked(datagram).indexOf(1);
        reply(index < 0 ? good(datagram) : answerTo(readRequest(datagram), { status, index: index + 1 }));
      },
      { maxOidsPerPdu: 3 },
    );
    const { answers } = await connection.read(pointsOf(...oids(3)), { signal });
    expect(answers).toEqual([100, expect.objectContaining({ status: "bad", code }), 102]);
  });

  test("what v2c answers in place of a value", async () => {
    const values = [tlv(0x80), tlv(0x81), tlv(0x82), tlv(5), int(7)];
    const { connection } = await setUp(
      (datagram, reply) => reply(answerTo(readRequest(datagram), { values })),
      { maxOidsPerPdu: 5 },
    );
    const { answers } = await connection.read(pointsOf(...oids(5)), { signal });
    const codes = answers.map((one) => (typeof one === "object" ? one.code : one));
    expect(codes).toEqual(["noSuchObject", "noSuchInstance", "endOfMibView", "no-value", 7]);
  });
});

describe("a device that is slow or lost", () => {
  test("one lost request costs its points, two cost the rest, none answered is silent", async () => {
    let lost = new Set([1]);
    const { agent, connection } = await setUp(
      (datagram, reply) => {
        if (!asked(datagram).some((arc) => lost.has(arc))) reply(good(datagram));
      },
      { timeout: 60 },
    );
    const points = pointsOf(...oids(5));
    const codes = async () =>
      (await connection.read(points, { signal })).answers.map((one) =>
        typeof one === "object" ? one.code : one,
      );
    expect(await codes()).toEqual([100, "timeout", 102, 103, 104]);
    lost = new Set([2, 3]);
    agent.requests.length = 0;
    expect(await codes()).toEqual([100, 101, "timeout", "timeout", "timeout"]);
    expect(agent.requests.flatMap(asked)).toEqual([0, 2, 3, 1]);
    lost = new Set([0, 1, 2, 3, 4]);
    agent.requests.length = 0;
    expect(await codeOf(connection.read(points, { signal }))).toBe("silent");
    expect(agent.requests).toHaveLength(2);
  });

  test("objects that a device never answers are asked last, and cost the others nothing", async () => {
    let mute = [1, 2, 3];
    const { agent, connection } = await setUp(
      (datagram, reply) => {
        if (!asked(datagram).some((arc) => mute.includes(arc))) reply(good(datagram));
      },
      { timeout: 60, maxOidsPerPdu: 2 },
    );
    const points = pointsOf(...oids(12));
    const codes = async () =>
      (await connection.read(points, { signal })).answers.map((one) =>
        typeof one === "object" ? one.code : one,
      );
    const lost = "timeout";
    // At first two requests are lost, and one between them shows that the device is there.
    expect(await codes()).toEqual([...Array<string>(10).fill(lost), 110, 111]);
    const others = [100, lost, lost, lost, 104, 105, 106, 107, 108, 109, 110, 111];
    for (let i = 0; i < 4; i++) {
      agent.requests.length = 0;
      expect(await codes()).toEqual(others);
      expect(agent.requests.filter((one) => asked(one).some((arc) => mute.includes(arc)))).toHaveLength(1);
    }
    mute = [];
    await codes();
    expect(await codes()).toEqual([100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111]);
    agent.requests.length = 0;
    await codes();
    expect(agent.requests).toHaveLength(6);
  });

  test("a port at which nothing listens is refused at once", async () => {
    const { agent, connection } = await setUp(() => {}, { timeout: 5000 });
    await agent.close();
    open.splice(open.indexOf(agent), 1);
    const begunMs = performance.now();
    expect(await codeOf(connection.read(pointsOf(...oids(3)), { signal }))).toBe("refused");
    expect(performance.now() - begunMs).toBeLessThan(1000);
  });

  test("a device on IPv6 is read, and named with brackets", async () => {
    const agent = await scriptedAgent((datagram, reply) => reply(good(datagram)), "::1");
    const connection = await connectTo(settingsOf(agent.port, { host: "::1" }));
    open.push(connection);
    expect(await connection.read(pointsOf(...oids(1)), { signal })).toEqual({ answers: [100] });
    await agent.close();
    const call = connection.read(pointsOf(...oids(1)), { signal });
    await expect(call).rejects.toMatchObject({ code: "refused", message: expect.stringContaining("[::1]:") });
  });

  test("a name that nobody has is unreachable", async () => {
    expect(await codeOf(connectTo(settingsOf(161, { host: "no-such-host.invalid" })))).toBe("unreachable");
  });
});

describe("the head of a message", () => {
  test("v1 and v2c", () => {
    expect(readHeader(tlv(0x30, int(1), text("public"), tlv(0xa0)))).toMatchObject({
      version: 1,
      community: "public",
      pduType: 0xa0,
    });
    expect(readHeader(tlv(0x30, int(0), text(""), tlv(0xa4)))).toMatchObject({
      community: "",
      pduType: 0xa4,
    });
  });

  test("no bytes make it throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (octets) => void readHeader(Buffer.from(octets))),
    );
  });
});

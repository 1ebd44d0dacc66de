import fc from "fast-check";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { codeOf, patient, ScriptedSite, stage } from "./testing.ts";
import { keep, together } from "./test-site.ts";
import { PacketError, PacketReader, parsePacket } from "./codec.ts";
import { readMessage, readVersion, typeOf } from "./messages.ts";
import type { Address } from "./settings.ts";

/** What a site may do wrong: kerb says so as the specification has it, and throws nothing but a DeviceError. */

const stagePoint = {
  name: "stage",
  address: { status: "S0001", name: "stage", as: "number", rate: 0, onChange: true },
};
const point = stagePoint as { name: string; address: Address };
const now = () => new Date().toISOString();
const stageValue = (s: unknown, q = "recent") => ({ sCI: "S0001", n: "stage", s, q });

describe("packets", () => {
  test("may come byte by byte, several at once, and with form feeds before and between them", async () => {
    const { site, connection } = await together();
    site.write("\f\f");
    const reading = connection.read([point], { signal: patient() });
    const request = await site.next("StatusRequest");
    const acknowledgement = `${JSON.stringify({ mType: "rSMsg", type: "MessageAck", oMId: request["mId"] })}\f\f`;
    for (const byte of Buffer.from(acknowledgement)) {
      site.write(Buffer.from([byte]));
      await sleep(0);
    }
    const body = { mType: "rSMsg", cId: "TC1", sTs: now(), sS: [stageValue("3")] };
    const response = { type: "StatusResponse", mId: "11111111-1111-4111-8111-111111111111", ...body };
    const watchdog = {
      mType: "rSMsg",
      type: "Watchdog",
      mId: "22222222-2222-4222-8222-222222222222",
      wTs: now(),
    };
    site.write(`\f${JSON.stringify(response)}\f${JSON.stringify(watchdog)}\f`);
    expect((await reading).answers[0]).toMatchObject({ value: 3, status: "good" });
    await site.verdict(response.mId);
    await site.verdict(watchdog.mId);
  });

  test("keep a letter together that comes in two pieces", () => {
    const seen: unknown[] = [];
    const reader = new PacketReader(1000);
    const bytes = Buffer.from('{"a":"Nguyễn Huệ"}\f');
    for (const byte of bytes) reader.push(Buffer.from([byte]), (packet) => seen.push(parsePacket(packet)));
    expect(seen).toEqual([{ a: "Nguyễn Huệ" }]);
  });

  test.each<[string, string | Buffer, RegExp]>([
    ["no JSON", "{oops}\f", /no JSON/],
    ["no object", "[1,2]\f", /no object/],
    ["no UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d, 0x0c]), /no UTF-8/],
    ["too deep", `${'{"a":'.repeat(40)}1${"}".repeat(40)}\f`, /more than 16 levels/],
    ["no mId", `${JSON.stringify({ mType: "rSMsg", type: "Watchdog", wTs: now() })}\f`, /without mId/],
    ["too large", `{"a":"${"x".repeat(40_000)}"}\f`, /more than 32768 bytes/],
    ["without an end", "x".repeat(40_000), /more than 32768 bytes/],
  ])("that are wrong end the connection as garbage: %s", async (_, bytes, reason) => {
    const { site, connection } = await together({ messageBytesMax: 32_768 });
    const reading = connection.read([point], { signal: patient() });
    const checked = expect(reading).rejects.toThrow(reason);
    await site.next("StatusRequest");
    site.write(bytes);
    await checked;
    expect(await codeOf(reading)).toBe("garbage");
    await site.gone();
  });

  test("before the Version message: the caller is dropped without a word", async () => {
    const on = await stage({ wait: 1500 });
    const connecting = codeOf(on.connect());
    for (const bytes of ["{oops}\f", `${JSON.stringify({ mType: "rSMsg", type: "Watchdog", mId: "1" })}\f`]) {
      const site = await ScriptedSite.call(on.port);
      keep(site);
      site.write(bytes);
      await site.gone();
      expect(site.received).toEqual([]);
    }
    const large = await ScriptedSite.call(on.port);
    keep(large);
    large.write("x".repeat(100_000));
    await large.gone();
    expect(await connecting).toBe("silent");
  });
});

describe("messages that are not understood get a MessageNotAck with the reason, and the connection goes on", () => {
  test.each([
    ["Watchdddog", {}, "Unknown packet type: Watchdddog"],
    ["Watchdog", { wTs: "yesterday" }, "wTs must be a time"],
    ["Watchdog", { wTs: "2024-01-01T00:00:00Z" }, "wTs must be a time"],
    ["Version", { RSMP: [], siteId: [], SXL: "1" }, "extraneous Version message"],
    ["StatusRequest", { cId: "TC1", sS: [] }, "StatusRequest is not for a supervision system"],
    ["AggregatedStatus", { cId: "TC1", aSTS: now(), fP: null, fS: null, se: [true] }, "eight booleans"],
    [
      "AggregatedStatus",
      { cId: "TC1", aSTS: now(), fP: null, fS: null, se: Array(8).fill("true") },
      "booleans",
    ],
    ["StatusUpdate", { cId: "TC1", sTs: now(), sS: [stageValue("1", "fresh")] }, "q must be one of"],
    ["StatusUpdate", { cId: "TC1", sTs: now(), sS: [stageValue(1)] }, "s must be a text"],
    ["StatusUpdate", { cId: "TC1", sTs: now(), sS: [stageValue("1", "undefined")] }, "s must be null"],
    ["StatusUpdate", { cId: "TC1", sTs: now(), sS: "S0001" }, "sS must be a list"],
    ["StatusUpdate", { sTs: now(), sS: [] }, "cId must be a text"],
    ["Alarm", { cId: "TC1", aCId: "A0001", aSp: "issue", rvs: [] }, "aSp must be one of"],
    ["CommandResponse", { cId: "TC1", cTS: now(), rvs: [{ cCI: "M0001", n: "status", v: "x" }] }, "age"],
  ])("%s %j", async (type, body, reason) => {
    const { site } = await together();
    const verdict = await site.verdict(site.say(type, body));
    expect(verdict["type"]).toBe("MessageNotAck");
    expect(verdict["rea"]).toContain(reason);
    const fine = await site.verdict(site.say("Watchdog", { wTs: now() }));
    expect(fine["type"]).toBe("MessageAck");
  });

  test("an mId that is no UUID of version 4 since 3.2", async () => {
    for (const [version, verdict] of [
      ["3.2.0", "MessageNotAck"],
      ["3.1.5", "MessageAck"],
    ] as const) {
      const { site } = await together({}, [version]);
      site.write(`${JSON.stringify({ mType: "rSMsg", type: "Watchdog", mId: "7", wTs: now() })}\f`);
      expect((await site.verdict("7"))["type"], version).toBe(verdict);
    }
  });

  test("what older versions leave open is taken: small letters up to 3.1.5, state bits as texts up to 3.1.2", async () => {
    const alarm = {
      cId: "TC1",
      aCId: "A0001",
      xACId: "",
      aSp: "issue",
      ack: "notacknowledged",
      aS: "active",
      sS: "notSuspended",
      aTs: now(),
      cat: "D",
      pri: "2",
      rvs: [],
    };
    const bits = { cId: "TC1", aSTS: now(), fP: "", fS: "", se: Array(8).fill("true") };
    for (const [version, forAlarm, forBits] of [
      ["3.1.2", "MessageAck", "MessageAck"],
      ["3.1.5", "MessageAck", "MessageNotAck"],
      ["3.2.0", "MessageNotAck", "MessageNotAck"],
    ] as const) {
      const { site } = await together({}, [version]);
      expect((await site.verdict(site.say("Alarm", alarm)))["type"], version).toBe(forAlarm);
      expect((await site.verdict(site.say("AggregatedStatus", bits)))["type"], version).toBe(forBits);
    }
  });
});

describe("acknowledgements", () => {
  test("that do not come are a broken link, also for a watchdog while nobody asks", async () => {
    const { site, connection } = await together({ timeout: 300, watchdog: 200 });
    await site.next("Watchdog");
    await site.gone();
    expect(await codeOf(connection.read([point], { signal: patient() }))).toBe("silent");
  });

  test("an answer that does not come after the acknowledgement is silence", async () => {
    const { site, connection } = await together({ timeout: 300 });
    const reading = codeOf(connection.read([point], { signal: patient() }));
    site.acknowledge(await site.next("StatusRequest"));
    expect(await reading).toBe("silent");
  });

  test("of nothing that was sent change nothing", async () => {
    const { site, connection } = await together();
    site.acknowledge({ mId: "33333333-3333-4333-8333-333333333333" });
    site.acknowledge({ mId: 5 }, "because");
    const reading = connection.read([point], { signal: patient() });
    const request = await site.next("StatusRequest");
    site.acknowledge(request);
    site.acknowledge(request);
    site.say("StatusResponse", { cId: "TC1", sTs: now(), sS: [stageValue("2")] });
    expect((await reading).answers[0]).toMatchObject({ value: 2 });
  });

  test("an answer to a request that was given up is no answer to the next one", async () => {
    const { site, connection } = await together();
    const stop = new AbortController();
    const first = codeOf(connection.read([point], { signal: stop.signal }));
    site.acknowledge(await site.next("StatusRequest"));
    stop.abort();
    expect(await first).toBe("aborted");
    const second = connection.read([point], { signal: patient() });
    site.acknowledge(await site.next("StatusRequest"));
    site.say("StatusResponse", { cId: "TC1", sTs: now(), sS: [stageValue("1")] });
    site.say("StatusResponse", { cId: "TC1", sTs: now(), sS: [stageValue("2")] });
    expect((await second).answers[0]).toMatchObject({ value: 2 });
  });

  test("answers before the acknowledgement, and about other things, harm nothing", async () => {
    const { site, connection } = await together();
    const reading = connection.read([point], { signal: patient() });
    const request = await site.next("StatusRequest");
    site.say("StatusResponse", { cId: "TC2", sTs: now(), sS: [stageValue("7")] });
    site.say("StatusResponse", { cId: "TC1", sTs: now(), sS: [{ ...stageValue("8"), n: "cyclecounter" }] });
    site.say("StatusResponse", { cId: "TC1", sTs: now(), sS: [stageValue("2")] });
    site.acknowledge(request);
    expect((await reading).answers[0]).toMatchObject({ value: 2 });
  });
});

describe("fuzz", () => {
  const versions = ["3.1.2", "3.1.5", "3.2.2"];
  const names = [
    "mType",
    "type",
    "mId",
    "oMId",
    "cId",
    "sTs",
    "sS",
    "aSp",
    "aS",
    "ack",
    "rvs",
    "se",
    "RSMP",
    "siteId",
    "SXL",
  ];
  const types = [
    "Watchdog",
    "Alarm",
    "StatusUpdate",
    "StatusResponse",
    "AggregatedStatus",
    "CommandResponse",
    "Version",
  ];

  test("any bytes are a packet or a PacketError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 20 }), (bytes, size) => {
        const reader = new PacketReader(100);
        try {
          for (let at = 0; at < bytes.length; at += size)
            reader.push(Buffer.from(bytes.subarray(at, at + size)), (packet) => parsePacket(packet));
        } catch (error) {
          expect(error).toBeInstanceOf(PacketError);
        }
      }),
    );
  });

  test("any JSON is a message or a reason", () => {
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom(...types, now(), "Active", "recent"));
    const message = fc.dictionary(fc.constantFrom(...names), value);
    fc.assert(
      fc.property(
        message,
        fc.constantFrom(...types),
        fc.constantFrom(...versions),
        (given, type, version) => {
          typeOf(given);
          readVersion(given);
          const read = readMessage(given, type, version);
          expect("rea" in read ? read.rea : read.kind).toEqual(expect.any(String));
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("an id that cannot even be made a text is no error of ours", () => {
    const given = { mType: "rSMsg", type: "Watchdog", mId: { toString: 0 }, wTs: now() };
    expect(readMessage(given, "Watchdog", "3.2.2")).toEqual({
      rea: expect.stringContaining("mId") as string,
    });
  });

  test("a live connection survives or ends with a DeviceError", async () => {
    const samples = fc.sample(
      fc.tuple(fc.constantFrom(...types), fc.dictionary(fc.constantFrom(...names), fc.jsonValue())),
      200,
    );
    const { site, connection } = await together();
    const reading = codeOf(connection.read([point], { signal: patient() }));
    for (const [type, body] of samples)
      site.say(type, { ...body, mType: "rSMsg", type, mId: crypto.randomUUID() });
    await sleep(200);
    site.write(Buffer.from(fc.sample(fc.uint8Array({ minLength: 50, maxLength: 50 }), 1)[0] ?? []));
    site.write("\f");
    expect(["garbage", "silent", "resolved"]).toContain(await reading);
  });
});

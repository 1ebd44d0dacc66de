import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import {
  camera,
  connect,
  listen,
  nothing,
  notification,
  onePull,
  plateTopic,
  pulled,
  rate,
  read,
  simple,
  soap,
  stamp,
} from "./onvif-makers-rig.ts";
import { patient, until } from "./onvif-rig.ts";

/** Answers and events of cameras that differ from our own pretend one. */

describe("answers", () => {
  const umlauts = "Nhà máy Đông";
  const encoded: [string, string, Buffer][] = [
    ["UTF-8 with a mark", "text/xml", Buffer.from(`\ufeff${soap("")}`)],
    ["UTF-16LE with a mark", "text/xml", Buffer.from(`\ufeff${soap("")}`, "utf16le")],
    ["UTF-16LE", "text/xml; charset=utf-16", Buffer.from(soap(""), "utf16le")],
    ["UTF-16BE", "text/xml", Buffer.from(soap(""), "utf16le").swap16()],
  ];
  it.each(encoded)("in %s are read", async (_, type, sample) => {
    const isWide = sample.length > soap("").length * 1.5;
    const running = await camera(() => ({
      GetDeviceInformation: () => {
        const xml = soap(
          `<GetDeviceInformationResponse><Model>${umlauts}</Model></GetDeviceInformationResponse>`,
        );
        const mark =
          sample.subarray(0, 2).toString("hex") === "fffe" ||
          sample.subarray(0, 2).toString("hex") === "efbb";
        const text = mark ? `\ufeff${xml}` : xml;
        const wide = Buffer.from(text, isWide ? "utf16le" : "utf8");
        return { headers: { "Content-Type": type }, body: sample[0] === 0 ? wide.swap16() : wide };
      },
    }));
    expect(await (await connect(running)).identify(patient())).toMatchObject({ model: umlauts });
  });

  it.each([
    ["ISO-8859-1", "text/xml", Buffer.from("e9", "hex"), "é"],
    ["gb2312", "application/soap+xml; charset=utf-8", Buffer.from("d6d0", "hex"), "中"],
    ["no-such-thing", "text/xml", Buffer.from("é"), "é"],
  ])("that declare %s are read as that", async (label, type, bytes, text) => {
    const running = await camera(() => ({
      GetDeviceInformation: () => {
        const [head = "", tail = ""] = soap(
          "<GetDeviceInformationResponse><Model>|</Model></GetDeviceInformationResponse>",
        )
          .replace("utf-8", label)
          .split("|");
        return {
          headers: { "Content-Type": type },
          body: Buffer.concat([Buffer.from(head), bytes, Buffer.from(tail)]),
        };
      },
    }));
    expect(await (await connect(running)).identify(patient())).toMatchObject({ model: text });
  });

  it("in chunks, with HTTP 400 around a fault of SOAP 1.1, with zeros behind: each is what it says", async () => {
    const running = await camera(() => ({
      GetDeviceInformation: () =>
        `${soap("<GetDeviceInformationResponse><Model>M</Model></GetDeviceInformationResponse>")}\0\n`,
      GetVideoSources: () => ({
        status: 400,
        headers: { "Transfer-Encoding": "chunked" },
        body: soap(
          "<Fault><faultcode>SOAP-ENV:Server.Busy</faultcode><faultstring>later</faultstring></Fault>",
        ),
      }),
    }));
    const connection = await connect(running);
    expect(await connection.identify(patient())).toEqual({ model: "M" });
    expect(await read(connection, rate)).toEqual([
      expect.objectContaining({ status: "bad", reason: expect.stringContaining("later") as string }),
    ]);
  });

  it("packed with gzip although nobody asked for it are refused with that reason", async () => {
    const running = await camera(() => ({
      GetDeviceInformation: () => ({ headers: { "Content-Encoding": "gzip" }, body: gzipSync(soap("")) }),
    }));
    await expect((await connect(running)).identify(patient())).rejects.toThrow("compressed");
  });
});

describe("events", () => {
  it("several messages in one holder are several events", async () => {
    const running = await camera(() =>
      onePull(() => notification({ items: simple("Plate", "A") }, { items: simple("Plate", "B") })),
    );
    const { values } = listen(await connect(running));
    await until("both", () => values().length > 1);
    expect(values()).toEqual(["A", "B"]);
  });

  it("of two objects in one field, or two channels with rules of the same name, are of two things", async () => {
    const topic = "tns1:RuleEngine/FieldDetector/ObjectsInside";
    const state = (channel: string, object: string, ruleFirst: boolean): string => {
      const source = [simple("VideoSourceConfigurationToken", channel), simple("Rule", "F1")];
      return `<NotificationMessage><Topic>${topic}</Topic><Message><Message UtcTime="${stamp(Date.now())}" PropertyOperation="Changed"><Source>${(ruleFirst ? source.toReversed() : source).join("")}</Source><Key>${simple("ObjectId", object)}</Key><Data>${simple("IsInside", "true")}</Data></Message></Message></NotificationMessage>`;
    };
    const running = await camera(() =>
      onePull(
        () =>
          state("1", "7", false) + state("1", "8", false) + state("2", "7", false) + state("1", "7", true),
      ),
    );
    const { told } = listen(await connect(running), "RuleEngine/FieldDetector/ObjectsInside", "IsInside");
    await until("all", () => told.length > 3);
    const [first, ...others] = told.map(({ instance }) => instance);
    expect(new Set([first, ...others]).size).toBe(3);
    expect(others.at(-1)).toBe(first);
  });

  it.each([
    ["tns1", "http://www.onvif.org/ver10/topics"],
    ["tns1", "http://www.onvif.org/ver10/topics/"],
    ["tns1", "http://www.onvif.org/onvif/ver10/topics/topicns.xml"],
    ["ns7", "http://www.onvif.org/ver10/topics"],
    ["tns1", undefined],
    [undefined, "http://www.onvif.org/ver10/topics"],
  ])("under prefix %s for %s are ONVIF's own", async (prefix, uri) => {
    const declared = uri === undefined ? "" : ` xmlns${prefix === undefined ? "" : `:${prefix}`}="${uri}"`;
    const topic = plateTopic.replace("tns1:", prefix === undefined ? "" : `${prefix}:`);
    const running = await camera(() =>
      onePull(() =>
        notification({ topic, items: simple("Plate", "A") }).replace("<Topic>", `<Topic${declared}>\n  `),
      ),
    );
    const { values } = listen(await connect(running));
    await until("the plate", () => values().length > 0, 4000);
  });

  it("come as fast as the camera tells them: there is no long pause after a full answer", async () => {
    const all = Array.from({ length: 1000 }, (_, i) => notification({ items: simple("Plate", `P${i}`) }));
    let leastMs = Infinity;
    let answeredMs = -Infinity;
    const running = await camera(() => ({
      PullMessages: ({ xml }) => {
        leastMs = Math.min(leastMs, performance.now() - answeredMs);
        const limit = Number(/<MessageLimit>(\d+)</.exec(xml)?.[1]);
        if (all.length === 0) return nothing();
        answeredMs = performance.now();
        return pulled(all.splice(0, limit).join(""));
      },
    }));
    const { values } = listen(await connect(running));
    await until("the last", () => values().length === 1000, 10_000);
    expect(values().at(-1)).toBe("P999");
    // It was 20 ms and the way; 50 rounds, and the machine may be busy in all but one.
    expect(leastMs).toBeLessThan(18);
  }, 15_000);

  it("whose time is right while the clock of the service is hours off keep it", async () => {
    const hoursMs = 7 * 3_600_000;
    for (const [serviceMs, eventMs] of [
      [hoursMs, 0],
      [hoursMs, hoursMs],
      [-hoursMs, 0],
    ] as const) {
      const running = await camera(() => ({
        PullMessages: ({ count }) => {
          const nowMs = Date.now();
          const told = notification({ items: simple("Plate", "A"), atMs: nowMs + eventMs });
          return count === 1 ? pulled(told, nowMs + serviceMs) : nothing();
        },
      }));
      const { told } = listen(await connect(running));
      await until("the plate", () => told.length > 0);
      expect(Math.abs((told[0]?.sourceTimeMs ?? 0) - Date.now()), `${serviceMs} ${eventMs}`).toBeLessThan(
        10_000,
      );
    }
  });

  it("about faces are met by no star: who wants them must name them", async () => {
    const running = await camera(() =>
      onePull(
        () =>
          notification({ topic: "tns1:RuleEngine/Recognition/Face", items: simple("Plate", "face") }) +
          notification({
            topic: "tns1:RuleEngine/MyRuleDetector/FaceDetect",
            items: simple("Plate", "face"),
          }) +
          notification({ items: simple("Plate", "plate") }),
      ),
    );
    const { values } = listen(await connect(running), "RuleEngine/*/*");
    await until("the plate", () => values().includes("plate"));
    expect(values()).toEqual(["plate"]);
  });
});

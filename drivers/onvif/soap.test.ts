import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pathOf } from "./addresses.ts";
import { leastSkewMs, systemTimeMs, timeMsOf } from "./clock.ts";
import { foundIn } from "./discover.ts";
import { belongs, notificationsOf, typed, valueIn } from "./events.ts";
import { references } from "./pull-point.ts";
import { address, settings } from "./settings.ts";
import { at, envelope, escape, NotSoapError, parse, SoapFault, textAt } from "./soap.ts";

const frame = (name: string): string => readFileSync(new URL(`frames/${name}.xml`, import.meta.url), "utf8");
const eventsOf = (xml: string) => notificationsOf(at(parse(xml), "PullMessagesResponse"), xml);

const soap = (inner: string) => `<e:Envelope xmlns:e="x"><e:Body>${inner}</e:Body></e:Envelope>`;

describe("frames", () => {
  it("tell motion as initial and then as changed, with what it is about", () => {
    const [initial, changed, ...more] = eventsOf(frame("pull-motion"));
    expect(more).toEqual([]);
    expect(initial).toMatchObject({ topic: "RuleEngine/CellMotionDetector/Motion", phase: "initial" });
    expect(changed?.phase).toBe("changed");
    expect(changed?.timeMs).toBe(Date.UTC(2026, 10, 22, 3, 0, 9, 250));
    const moving = address.parse({ item: "IsMotion", part: "data", type: "boolean" });
    expect(valueIn(initial!, moving)).toBe(false);
    expect(valueIn(changed!, moving)).toBe(true);
    expect(valueIn(changed!, address.parse({ item: "Rule" }))).toBe("MyMotionDetectorRule");
    expect(valueIn(changed!, address.parse({ item: "Rule", part: "data" }))).toBeUndefined();
  });

  it("tell a plate under other prefixes, from simple items, keys and elements, without its picture", () => {
    const [plate, lens] = eventsOf(frame("pull-plate"));
    expect(plate).toMatchObject({ topic: "RuleEngine/Recognition/LicensePlate", phase: "occurred" });
    expect(plate?.timeMs).toBe(Date.UTC(2026, 10, 21, 20, 0, 8));
    const of = (item: string) => valueIn(plate!, address.parse({ item }));
    expect([of("LicensePlateInfo/PlateNumber"), of("VehicleInfo/Type")]).toEqual(["51F-123.45", "Car"]);
    expect([of("Rule"), of("ObjectId"), of("Image")]).toEqual(["Gate & ramp", "17", undefined]);
    expect(lens).toMatchObject({ topic: "Device/HardwareFailure/acme:LensFailure", phase: "deleted" });
  });

  it("tell nothing, a fault, a clock", () => {
    expect(eventsOf(frame("pull-empty"))).toEqual([]);
    expect(() => parse(frame("fault-not-authorized"))).toThrow(
      expect.objectContaining({ name: "SoapFault", code: "NotAuthorized" }) as Error,
    );
    expect(systemTimeMs(parse(frame("system-date-time")))).toBe(Date.UTC(2026, 10, 22, 3, 0, 10));
  });

  it("of a probe give only the address of the machine that sent them", () => {
    const found = foundIn(frame("probe-match"), "192.168.1.64");
    expect(found?.at).toEqual({ host: "192.168.1.64", port: 8000 });
    expect(found?.identity).toEqual({ vendor: "Cong vien", model: "IPC-B620H" });
    expect(foundIn(frame("probe-match"), "192.168.1.65")).toBeUndefined();
    expect(foundIn("garbage", "192.168.1.64")).toBeUndefined();
  });
});

describe("addresses", () => {
  const [plate] = eventsOf(frame("pull-plate"));

  const is = (given: object) => belongs(plate!, address.parse(given));

  it("match a topic part by part, a star for one part, and by what the event is about", () => {
    expect(is({ topic: "RuleEngine/Recognition/LicensePlate" })).toBe(true);
    expect(is({ topic: "RuleEngine/*/LicensePlate" })).toBe(true);
    expect(is({ topic: "RuleEngine/*" })).toBe(false);
    expect(is({ topic: "RuleEngine/Recognition/LicensePlate", source: { Rule: "Gate & ramp" } })).toBe(true);
    expect(is({ topic: "RuleEngine/Recognition/LicensePlate", source: { Rule: "Gate" } })).toBe(false);
  });

  it("say what type a text is, and a text that is not of it is bad", () => {
    expect([typed("1", "boolean"), typed("TRUE", "boolean"), typed("0.5", "number")]).toEqual([
      true,
      true,
      0.5,
    ]);
    expect(typed("yes", "boolean")).toMatchObject({ value: null, code: "not-a-boolean" });
    expect(typed("", "number")).toMatchObject({ value: null, code: "not-a-number" });
    expect(typed("1970-01-01T00:00:00Z", "time", "initial")).toMatchObject({ code: "never" });
    expect(typed("0123", "text")).toBe("0123");
  });
});

it("only the path of a camera's own address is ever used", () => {
  expect(pathOf("http://169.254.169.254/latest/meta-data?x=1")).toBe("/latest/meta-data?x=1");
  expect(pathOf("http://user:pw@evil.example:99/onvif/a b\r\nX: y")).toBe("/onvif/a%20bX:%20y");
  for (const given of [
    "ftp://h/x",
    "file:///etc/passwd",
    "nonsense",
    `http://h/${"a".repeat(600)}`,
    undefined,
  ])
    expect(pathOf(given)).toBeUndefined();
});

describe("XML from outside", () => {
  const hostile: Record<string, string> = {
    "billion laughs": `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>${soap("<A>&b;</A>")}`,
    "external entity": `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>${soap("<A>&a;</A>")}`,
    __proto__: soap("<__proto__><polluted>1</polluted></__proto__>"),
    "deep nesting": soap("<a>".repeat(30_000)),
    "too large": soap("x".repeat(300_000)),
    truncated: soap("<A>1</A>").slice(0, -9),
    "cut in the middle": soap("<A>1</A><B>2").slice(0, 40),
    "without its end": soap("<A>1</A>").replace("</e:Envelope>", ""),
    empty: "",
    html: "<html><body>401</body></html>",
    "no body": '<e:Envelope xmlns:e="x"></e:Envelope>',
  };

  it.each(Object.entries(hostile))("%s is refused, quickly", (_name, xml) => {
    const begunMs = performance.now();
    expect(() => parse(xml)).toThrow(NotSoapError);
    expect(performance.now() - begunMs).toBeLessThan(500);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  it("entities are the five of XML and characters by number", () => {
    const body = parse(soap("<A>&lt;&amp;&#65;&#x42;&xxe;&#0;&#xD800;</A>"));
    expect(textAt(body, "A")).toBe("<&AB&xxe;&#0;&#xD800;");
  });

  it("throws nothing but a fault or a refusal, whatever comes", () => {
    const pieces = fc.constantFrom(
      "<",
      ">",
      "/",
      "e:Envelope",
      "Body",
      "&amp;",
      '"',
      "x",
      " ",
      "<![CDATA[",
      "]]>",
      "<!--",
      "-->",
      "<?",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 60 }), (parts) => {
        for (const xml of [parts.join(""), soap(parts.join(""))]) {
          try {
            notificationsOf(at(parse(xml), "PullMessagesResponse"), xml);
          } catch (error) {
            if (!(error instanceof NotSoapError || error instanceof SoapFault)) throw error;
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it("what is sent stays what it was meant to be", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const sent = parse(envelope(`<A>x${escape(text)}x</A>`));
        const left = text.replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "");
        expect(textAt(sent, "A")?.replaceAll(/\s/g, "")).toBe(`x${left}x`.replaceAll(/\s/g, ""));
      }),
    );
  });
});

describe("clocks", () => {
  it("the least deviation that explains a whole second, 0 when none can be shown", () => {
    expect(leastSkewMs(10_000, 10_300, 10_320)).toBe(0);
    expect(leastSkewMs(10_000, 10_990, 11_010)).toBe(0);
    expect(leastSkewMs(10_000, 12_000, 12_010)).toBe(-1000);
    expect(leastSkewMs(20_000, 10_500, 10_520)).toBe(9480);
  });

  it("times with and without a zone", () => {
    expect(timeMsOf("2026-11-22T10:00:00+07:00")).toBe(Date.UTC(2026, 10, 22, 3));
    expect(timeMsOf("2026-11-22T03:00:00.1234567Z")).toBe(Date.UTC(2026, 10, 22, 3, 0, 0, 123));
    expect(timeMsOf("2026-11-22T03:00:00")).toBe(Date.UTC(2026, 10, 22, 3));
    for (const text of ["", "yesterday", "2026-13-41T99:00:00Z", undefined])
      expect(timeMsOf(text)).toBeUndefined();
  });
});

describe("settings", () => {
  const good = { host: "192.168.1.64", user: "kerb", password: "a-long-one-of-its-own" };

  it("refuse factory passwords, half a login, and a login without one", () => {
    expect(settings.parse(good)).toMatchObject({ port: 80, auth: "auto", timeout: 4000, pull: 20_000 });
    for (const password of ["admin", "12345", "ADMIN", "kerb", ""])
      expect(settings.safeParse({ ...good, password }).success, password).toBe(false);
    expect(settings.safeParse({ host: "h", user: "kerb" }).success).toBe(false);
    expect(settings.safeParse({ host: "h", auth: "digest" }).success).toBe(false);
    expect(settings.safeParse({ ...good, servicePath: "/a\r\nX: y" }).success).toBe(false);
  });

  it("addresses that mean nothing are refused", () => {
    for (const given of [{}, { reading: "video" }, { reading: "rtsp", topic: "a" }, { topic: "tns1 x" }])
      expect(address.safeParse(given).success, JSON.stringify(given)).toBe(false);
  });
});

describe("reference parameters", () => {
  it("go back as they came, under their own namespace", () => {
    expect(references(frame("create-reference-parameters"))).toMatch(
      /^<k:\w+ xmlns:k="[^"]+" wsa:IsReferenceParameter="true">[^<]+<\/k:\w+>$/,
    );
  });

  it.each(["<ReferenceParameters", "<ReferenceParameters>", "<a:ReferenceParameters x='"])(
    "of a hostile camera hold up nothing: %s",
    (text) => {
      const begunMs = performance.now();
      expect(references(text.repeat(250_000 / text.length))).toBe("");
      // It was seconds; here the machine may be busy.
      expect(performance.now() - begunMs).toBeLessThan(1000);
    },
  );
});

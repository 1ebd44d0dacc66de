import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "./canonical-json.ts";
import {
  type Command,
  contentDigest,
  isRefusal,
  issuerKey,
  issuerOf,
  newCommandId,
  parseCommand,
  signCommand,
  verifyCommand,
} from "./command.ts";
import { outcomeCode } from "./order.ts";
import { ioc, Site, stranger } from "./testing.ts";

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const site = new Site("unused");

describe("canonical JSON", () => {
  it("is that of RFC 8785", () => {
    // The example of its section 3.2.2, and the order of keys of 3.2.3.
    const example = {
      numbers: [Number("333333333.33333329"), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
      literals: [null, true, false],
    };
    expect(canonicalJson(example)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
    const keys = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\u{1f600}": 5, "\u0080": 6, "\u00f6": 7 };
    expect(canonicalJson(keys)).toBe('{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}');
    expect(canonicalJson([-0, { b: undefined, a: [] }])).toBe('[0,{"a":[]}]');
  });

  it("refuses what JSON does not have", () => {
    for (const one of [Number.NaN, Infinity, undefined, "\ud800", () => 1, 1n, { "\udc00": 1 }])
      expect(() => canonicalJson([one])).toThrow(RangeError);
  });

  it("is the same for every order of keys and every way to write the JSON", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(JSON.parse(JSON.stringify(value, undefined, 2)))).toBe(text);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
  });
});

describe("a command", () => {
  it("is read as it was signed, whatever the order of its keys", () => {
    const command = signCommand(site.content({ lease: 5000, reason: "mưa lớn", prio: 5 }), ioc.secret);
    const turned = Object.fromEntries(Object.entries(command).toReversed());
    const parsed = parseCommand(Buffer.from(JSON.stringify(turned, undefined, 1)));
    expect(parsed).toEqual(command);
    expect(verifyCommand(parsed as Command, issuerKey(ioc.key))).toBe(true);
    expect(verifyCommand(parsed as Command, issuerKey(stranger.key))).toBe(false);
    expect(contentDigest(parsed as Command)).toBe(contentDigest(command));
  });

  it("is not verified with anything changed", () => {
    const command = signCommand(site.content({ lease: 5000 }), ioc.secret);
    for (const key of Object.keys(command) as (keyof Command)[]) {
      if (key === "sig") continue;
      const changed = { ...command, [key]: typeof command[key] === "number" ? 2 : "x" };
      expect(verifyCommand(changed, issuerKey(ioc.key)), key).toBe(false);
      const { [key]: _, ...without } = command;
      expect(verifyCommand(without as Command, issuerKey(ioc.key)), key).toBe(false);
    }
  });

  it("is read or refused, and nothing is thrown, whatever comes", () => {
    const sound = JSON.stringify(signCommand(site.content(), ioc.secret));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (some) => void parseCommand(some)));
    fc.assert(fc.property(fc.jsonValue(), (value) => isRefusal(parseCommand(bytes(value)))));
    const cut = fc.tuple(fc.nat(sound.length), fc.nat(20), fc.string({ maxLength: 10 }));
    fc.assert(
      fc.property(cut, ([at, length, text]) => {
        const changed = `${sound.slice(0, at)}${text}${sound.slice(at + length)}`;
        const parsed = parseCommand(Buffer.from(changed));
        return isRefusal(parsed) || changed === sound || typeof parsed.sig === "string";
      }),
      { numRuns: 2000 },
    );
  });

  it("changes no prototype and takes no key from one", () => {
    const text = JSON.stringify(site.content()).replace('{"v"', '{"__proto__":{"sig":"x","polluted":1},"v"');
    expect(parseCommand(Buffer.from(text))).toMatchObject({ code: "KERB-CMD-SCHEMA" });
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  it("is refused in a moment, however it is made to take long", () => {
    const evil = [
      `{"a":"${"\\\\".repeat(4000)}"}`,
      `{"${'\\"'.repeat(4000)}":1}`,
      `{"by":"${"a".repeat(8000)}"}`,
      JSON.stringify({ ...site.content(), args: { [`a${".a".repeat(3900)}!`]: 1 } }),
    ];
    for (const text of evil) {
      const start = performance.now();
      expect(isRefusal(parseCommand(Buffer.from(text)))).toBe(true);
      expect(performance.now() - start).toBeLessThan(100);
    }
  });

  it("has an id of its own that tells when it was made", () => {
    // The time of the ULID specification's own example.
    const ids = Array.from({ length: 1000 }, () => newCommandId(1_469_918_176_385));
    expect(new Set(ids).size).toBe(1000);
    for (const id of ids) expect(id).toMatch(/^01ARYZ6S41[0-9A-HJKMNP-TV-Z]{16}$/);
    expect(newCommandId(0).slice(0, 10)).toBe("0000000000");
    expect(newCommandId(2 ** 48 - 1).slice(0, 10)).toBe("7ZZZZZZZZZ");
  });

  it("names its issuer", () => {
    expect(["ioc", "an.nguyen@ioc"].map(issuerOf)).toEqual(["ioc", "ioc"]);
  });
});

describe("what a host says of a write", () => {
  it("is told in the codes of the table", () => {
    const said = [
      "interlock",
      "not-connected",
      "other-unit",
      "unreadable",
      "rejected",
      "KERB-CMD-HOST",
      "odd",
      "toString",
    ];
    expect(said.map(outcomeCode)).toEqual([
      "KERB-CMD-INTERLOCK",
      "KERB-CMD-OFFLINE",
      "KERB-CMD-IDENTITY",
      "KERB-CMD-BEFORE",
      "KERB-DEV-REJECTED",
      "KERB-CMD-HOST",
      "odd",
      "toString",
    ]);
  });
});

describe("the key of an issuer", () => {
  it("is raw and 32 bytes long", () => {
    const { publicKey } = generateKeyPairSync("ed25519");
    const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
    expect(issuerKey(raw.toString("base64")).equals(publicKey)).toBe(true);
    for (const text of [
      "",
      "x",
      raw.toString("hex"),
      raw.toString("base64url"),
      raw.subarray(1).toString("base64"),
    ])
      expect(() => issuerKey(text)).toThrow("32 bytes");
  });
});

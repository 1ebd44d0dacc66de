import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkJournal } from "../commands/journal-check.ts";
import { makeTwin } from "../receiver/twin/make.ts";
import { documentBytesMax, type TwinContent, type TwinDocument } from "./document.ts";
import { twinErrors, type TwinCode } from "./error-texts.ts";
import { twinFile } from "./kept.ts";
import { Box, bytesOf, contentOf, crew, depot, documentOf, ioc, siteOf, stranger } from "./testing.ts";

/** Documents that are hostile or broken: each is refused with its own code, leaves one record, and changes nothing. */

/** What lies over the files all the while. */
const base = { polls: { pump: "2s" }, issuers: [{ id: "crew", key: crew.key, roles: ["field"] }] };
const baseVer = 1000;

interface Attack {
  name: string;
  code: TwinCode;
  send: (ver: number) => Uint8Array;
}

const wants =
  (cfg: TwinContent["cfg"], more: Partial<TwinContent> = {}) =>
  (ver: number) =>
    bytesOf(documentOf(ver, cfg, more));
const by = (who: string, key: typeof ioc) => (ver: number) =>
  bytesOf(documentOf(ver, {}, { by: who }, key.secret));
/** The text of a sound document, changed after it was signed. */
const altered =
  (change: (text: string) => string, cfg: TwinContent["cfg"] = { polls: { pump: "5s" } }) =>
  (ver: number) =>
    Buffer.from(change(bytesOf(documentOf(ver, cfg)).toString()));
const deep = (levels: number): object => (levels === 0 ? {} : { a: deep(levels - 1) });
const issuer = (more: object) => ({
  issuers: [{ id: "night", key: stranger.key, roles: ["field"], ...more }],
});

const lit = (pump: object) => ({ schedules: { pump } });
const plan = (value: number, at = "18:00") => [{ at, value }];

const attacks: Attack[] = [
  { name: "longer than 32 KiB", code: "KERB-TWIN-SIZE", send: () => Buffer.alloc(documentBytesMax + 1, 32) },
  { name: "a megabyte of brackets", code: "KERB-TWIN-SIZE", send: () => Buffer.alloc(1_000_000, 91) },
  { name: "no JSON", code: "KERB-TWIN-JSON", send: () => Buffer.from("polls: {}") },
  { name: "no UTF-8", code: "KERB-TWIN-JSON", send: () => Buffer.from([0x7b, 0xff, 0x7d]) },
  { name: "a list", code: "KERB-TWIN-JSON", send: () => Buffer.from("[]") },
  { name: "null", code: "KERB-TWIN-JSON", send: () => Buffer.from("null") },
  { name: "NaN", code: "KERB-TWIN-JSON", send: altered((text) => text.replace('"5s"', "NaN")) },
  {
    name: "a key twice",
    code: "KERB-TWIN-JSON",
    send: altered((text) => text.replace('"pump":"5s"', '"pump":"9s","pump":"5s"')),
  },
  {
    name: "nested deep",
    code: "KERB-TWIN-SHAPE",
    send: (ver) => bytesOf({ ...contentOf(ver, {}), cfg: deep(40), sig: "" }),
  },
  {
    name: "32 KiB of brackets",
    code: "KERB-TWIN-SHAPE",
    send: () => Buffer.from(`{"cfg":${"[".repeat(16_000)}${"]".repeat(16_000)}}`),
  },
  {
    name: "a prototype key",
    code: "KERB-TWIN-SHAPE",
    send: altered((text) => text.replace('"pump"', '"__proto__"')),
  },
  { name: "1e999", code: "KERB-TWIN-SHAPE", send: altered((text) => text.replace('"5s"', "1e999")) },
  {
    name: "half a character",
    code: "KERB-TWIN-SHAPE",
    send: altered((text) => text.replace('"5s"', String.raw`"\ud800"`)),
  },
  { name: "no signature", code: "KERB-TWIN-SCHEMA", send: (ver) => bytesOf(contentOf(ver, {})) },
  { name: "a key more", code: "KERB-TWIN-SCHEMA", send: (ver) => bytesOf({ ...documentOf(ver, {}), x: 1 }) },
  { name: "version 0", code: "KERB-TWIN-SCHEMA", send: () => bytesOf(documentOf(0, {})) },
  { name: "version 1.5", code: "KERB-TWIN-SCHEMA", send: () => bytesOf(documentOf(1.5, {})) },
  { name: "an unsafe version", code: "KERB-TWIN-SCHEMA", send: () => bytesOf(documentOf(2 ** 53, {})) },
  { name: "another form", code: "KERB-TWIN-SCHEMA", send: wants({}, { v: 2 as 1 }) },
  { name: "another gateway's", code: "KERB-TWIN-GATEWAY", send: wants({}, { gw: "gw-02" }) },
  { name: "of nobody known", code: "KERB-TWIN-ISSUER", send: by("night", stranger) },
  { name: "of an issuer that may only command", code: "KERB-TWIN-ISSUER", send: by("an@depot", depot) },
  { name: "of a key that a twin has brought", code: "KERB-TWIN-ISSUER", send: by("crew", crew) },
  { name: "of a prototype's name", code: "KERB-TWIN-ISSUER", send: by("constructor", stranger) },
  { name: "signed with another key", code: "KERB-TWIN-SIGNATURE", send: by("ioc", stranger) },
  { name: "of a command-only issuer's key", code: "KERB-TWIN-SIGNATURE", send: by("ioc", depot) },
  {
    name: "changed after it was signed",
    code: "KERB-TWIN-SIGNATURE",
    send: altered((text) => text.replace("5s", "6s")),
  },
  {
    name: "another version after it was signed",
    code: "KERB-TWIN-SIGNATURE",
    send: (ver) => bytesOf({ ...documentOf(ver, {}), ver: ver + 1 }),
  },
  { name: "a wrong hash, signed", code: "KERB-TWIN-HASH", send: wants({}, { hash: "0".repeat(64) }) },
  {
    name: "an older one, sent again",
    code: "KERB-TWIN-OLD",
    send: () => bytesOf(documentOf(baseVer - 1, {})),
  },
  {
    name: "a reference to a secret",
    code: "KERB-TWIN-SECRET",
    send: wants({ polls: { pump: "${secret:x}" } }),
  },
  { name: "a reference as a key", code: "KERB-TWIN-SECRET", send: wants({ polls: { "${env:HOME}": "1s" } }) },
  { name: "a section that there is not", code: "KERB-TWIN-SCHEMA", send: wants({ uplinks: [] }) },
  { name: "roles", code: "KERB-TWIN-SCHEMA", send: wants({ roles: { field: { devices: ["gate"] } } }) },
  { name: "whose twin is taken", code: "KERB-TWIN-SCHEMA", send: wants({ twin: { issuers: ["crew"] } }) },
  { name: "an unknown device", code: "KERB-TWIN-DEVICE", send: wants({ polls: { pumb: "1s" } }) },
  {
    name: "a device of a prototype's name",
    code: "KERB-TWIN-DEVICE",
    send: wants({ polls: { constructor: "1s" } }),
  },
  { name: "an unknown point", code: "KERB-TWIN-POINT", send: wants({ deadBands: { pump: { levl: 1 } } }) },
  { name: "too quick a poll", code: "KERB-TWIN-VALUE", send: wants({ polls: { pump: "0ms" } }) },
  {
    name: "a poll that rounds to nothing",
    code: "KERB-TWIN-VALUE",
    send: wants({ polls: { pump: "0.4ms" } }),
  },
  { name: "a poll without a unit", code: "KERB-TWIN-VALUE", send: wants({ polls: { pump: 5 } }) },
  { name: "a poll of a month", code: "KERB-TWIN-VALUE", send: wants({ polls: { pump: "31d" } }) },
  { name: "polls as a list", code: "KERB-TWIN-VALUE", send: wants({ polls: [] }) },
  {
    name: "a dead band below 0",
    code: "KERB-TWIN-VALUE",
    send: wants({ deadBands: { pump: { level: -1 } } }),
  },
  {
    name: "a dead band as a text",
    code: "KERB-TWIN-VALUE",
    send: wants({ deadBands: { pump: { level: "1" } } }),
  },
  {
    name: "a dead band of no number",
    code: "KERB-TWIN-VALUE",
    send: wants({ deadBands: { pump: { open: 1 } } }),
  },
  {
    name: "a dead band beside the file's swinging door",
    code: "KERB-TWIN-VALUE",
    send: wants({ deadBands: { pump: { slope: 1 } } }),
  },
  { name: "a schedule of a safety point", code: "KERB-TWIN-VALUE", send: wants(lit({ breaker: plan(1) })) },
  { name: "a schedule of what is closed", code: "KERB-TWIN-VALUE", send: wants(lit({ level: plan(1) })) },
  { name: "a schedule beyond the limits", code: "KERB-TWIN-VALUE", send: wants(lit({ lamp: plan(101) })) },
  { name: "a schedule at no time", code: "KERB-TWIN-VALUE", send: wants(lit({ lamp: plan(1, "25:00") })) },
  { name: "a schedule of no point", code: "KERB-TWIN-POINT", send: wants(lit({ lump: plan(1) })) },
  {
    name: "a role that there is not",
    code: "KERB-TWIN-ROLE",
    send: wants(issuer({ roles: ["field", "all"] })),
  },
  {
    name: "a role of a prototype's name",
    code: "KERB-TWIN-ROLE",
    send: wants(issuer({ roles: ["constructor"] })),
  },
  { name: "another key for the site's issuer", code: "KERB-TWIN-ROOT", send: wants(issuer({ id: "depot" })) },
  { name: "another key for who wants it", code: "KERB-TWIN-ROOT", send: wants(issuer({ id: "ioc" })) },
  { name: "its own key under another name", code: "KERB-TWIN-ROOT", send: wants(issuer({ key: ioc.key })) },
  { name: "the issuer on site", code: "KERB-TWIN-VALUE", send: wants(issuer({ id: "local" })) },
  { name: "a key that is none", code: "KERB-TWIN-VALUE", send: wants(issuer({ key: "AAAA" })) },
  {
    name: "two issuers of one name",
    code: "KERB-TWIN-VALUE",
    send: wants({ issuers: [...issuer({}).issuers, ...issuer({ key: crew.key }).issuers] }),
  },
];

/** One after another at one desk: whatever one of them would leave behind, the next would meet. */
describe("hostile and broken documents", () => {
  let box: Box;
  let ver = baseVer;
  beforeAll(async () => {
    box = await Box.open();
    const { state, running } = await box.take(documentOf(baseVer, base));
    expect([state, running.ver]).toEqual(["applied", baseVer]);
  });
  afterAll(() => box.close());

  it("are many, and every code of a refusal is among them", () => {
    expect(attacks.length).toBeGreaterThanOrEqual(20);
    // Of a site that is closed, a version of now, a broken disk, or what came of one that was taken.
    const others = [
      "OFF",
      "SECTION",
      "VERSION",
      "MISFIT",
      "SUPERSEDED",
      "KEEP",
      "FAILED",
      "HARM",
      "CRASH",
      "LOCAL",
    ].map((code) => `KERB-TWIN-${code}`);
    const seen = [...attacks.map(({ code }) => code), ...others];
    expect(Object.keys(twinErrors).filter((code) => !seen.includes(code))).toEqual([]);
  });

  it.each(attacks)("$name: $code", async ({ code, send }) => {
    const [records, changes] = [box.records.length, box.live.sites.length];
    const before = await box.engine.standing();
    box.haves.length = 0;
    box.desk.take(send(++ver));
    const have = await box.until(({ state }) => state !== "staged");
    expect(have).toMatchObject({ state: "rejected", running: { ver: baseVer } });
    expect(have.errors[0]).toMatchObject({ code, text: expect.stringMatching(/^\P{Cc}{5,400}$/u) });
    const refused = box.records.slice(records).filter(({ ev }) => ev !== "twin-staged");
    expect(refused).toMatchObject([{ ev: "twin-rejected", code }]);
    const after = await box.engine.standing();
    expect(after.generation).toBe(before.generation);
    expect(box.live.sites).toHaveLength(changes);
    expect(readFileSync(twinFile(box.state), "utf8")).not.toContain("${");
    expect((await checkJournal(join(box.state, "commands"))).break).toBeUndefined();
  });

  it("would be applied without what is wrong with them", async () => {
    const cfg = {
      polls: { pump: "5s", gate: { fast: "500ms" } },
      deadBands: { pump: { level: 1 } },
      ...lit({ lamp: plan(70) }),
      ...issuer({}),
    };
    const have = await box.take(documentOf(++ver, cfg));
    expect(have).toMatchObject({ state: "applied", errors: [], running: { ver } });
    const { devices, commands } = box.live.sites.at(-1)!;
    expect(devices.map(({ pollMs }) => [pollMs.fast, pollMs.normal])).toEqual([
      [1000, 5000],
      [500, 10_000],
    ]);
    expect(devices[0]?.points.find(({ name }) => name === "level")?.deadband).toBe(1);
    expect(devices[0]?.schedules).toEqual({ lamp: plan(70) });
    expect(commands.issuers.map(({ id }) => id)).toEqual(["ioc", "depot", "night"]);
    const other: TwinDocument = documentOf(ver, {});
    box.desk.take(bytesOf(other));
    const same = await box.until(({ errors }) => errors.length > 0);
    expect(same).toMatchObject({
      state: "rejected",
      errors: [{ code: "KERB-TWIN-VERSION" }],
      running: { ver },
    });
  });
});

describe("a site file that is closed", () => {
  const closed: { name: string; code: TwinCode; twin: object | undefined }[] = [
    { name: "without twin", code: "KERB-TWIN-OFF", twin: undefined },
    {
      name: "with another section",
      code: "KERB-TWIN-SECTION",
      twin: { allow: ["deadBands"], issuers: ["ioc"] },
    },
  ];
  it.each(closed)("$name refuses: $code", async ({ code, twin }) => {
    const box = await Box.open(siteOf({ twin }));
    try {
      const have = await box.take(documentOf(1, { polls: { pump: "2s" } }));
      expect(have).toMatchObject({ state: "rejected", errors: [{ code }], running: { ver: 0 } });
      expect(box.live.sites).toEqual([]);
      expect(box.records.filter(({ ev }) => ev === "twin-rejected")).toMatchObject([{ code }]);
    } finally {
      await box.close();
    }
  });
});

it("is not made where no gateway would read it; its size is told in bytes", () => {
  const cfg = { note: "ế".repeat(documentBytesMax / 3) };
  const make = () => makeTwin({ gateway: "gw-01", by: "ioc", cfg }, ioc.secret);
  expect(make).toThrow(/^it has 33\d{3} of 32768 bytes$/);
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type CommandContent, signCommand } from "./command.ts";
import type { CommandDesk } from "./desk.ts";
import { commandErrors } from "./error-texts.ts";
import { checkJournal } from "./journal-check.ts";
import type { CommandsConfig } from "./policy.ts";
import type { CommandState } from "./state.ts";
import { bytesOf, depot, ioc, recordsOf, signed, Site, stranger, topicOf } from "./testing.ts";

/** Commands that are hostile or broken: each is refused with its own code, leaves one record, and reaches no device. */

const root = mkdtempSync(join(tmpdir(), "kerb-hostile-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;

interface Attack {
  name: string;
  code: keyof typeof commandErrors;
  config?: Partial<CommandsConfig>;
  /** What was done before, rightfully: its records and writes do not count. */
  before?: (site: Site, desk: CommandDesk) => Promise<CommandState | void>;
  send: (site: Site, before: CommandState | undefined) => { bytes: Uint8Array; topic?: string };
}

/** A signed command with one thing wrong. */
const wrong = (more: Partial<CommandContent>) => (site: Site) => ({ bytes: signed(site.content(more)) });
/** The JSON text of a sound command, changed after it was signed; the topic stays. */
const altered = (change: (text: string) => string) => (site: Site) => ({
  bytes: Buffer.from(change(signed(site.content()).toString())),
});
/** A sound command with keys added, and signed with them. */
const added = (more: object) => (site: Site) => ({
  bytes: signed({ ...site.content(), ...more } as CommandContent),
});
const take = (desk: CommandDesk, content: CommandContent, by = ioc) =>
  desk.take(signed(content, by), topicOf(content.dev));

const sign = { dev: "sign-01", role: "traffic", args: { text: "Đi chậm" } } as const;
const barrier = { dev: "barrier-01", role: "traffic", args: { open: true } } as const;
const arming =
  (more: Partial<CommandContent> = {}) =>
  (site: Site, desk: CommandDesk) =>
    take(desk, site.content({ ...sign, mode: "arm", ...more }));
const committing =
  (more: Partial<CommandContent>, by = ioc) =>
  (site: Site, before: CommandState | undefined) => {
    const content = site.content({ ...sign, mode: "commit", arm: before?.arm ?? "", ...more });
    return { bytes: signed(content, by), topic: topicOf(content.dev) };
  };

const attacks: Attack[] = [
  // Size, topic, JSON.
  { name: "longer than 8 KiB", code: "KERB-CMD-SIZE", send: () => ({ bytes: Buffer.alloc(8193, 32) }) },
  {
    name: "a megabyte of brackets",
    code: "KERB-CMD-SIZE",
    send: () => ({ bytes: Buffer.alloc(1_000_000, 91) }),
  },
  {
    name: "a topic of another gateway",
    code: "KERB-CMD-TOPIC",
    send: (site) => ({ bytes: signed(site.content()), topic: topicOf("light-01", "gw-02") }),
  },
  {
    name: "a topic of another device",
    code: "KERB-CMD-TOPIC",
    send: (site) => ({ bytes: signed(site.content()), topic: topicOf("sign-01") }),
  },
  {
    name: "a topic with a wildcard",
    code: "KERB-CMD-TOPIC",
    send: (site) => ({ bytes: signed(site.content()), topic: topicOf("+") }),
  },
  {
    name: "a topic with a level more",
    code: "KERB-CMD-TOPIC",
    send: (site) => ({ bytes: signed(site.content()), topic: `${topicOf("light-01")}/x` }),
  },
  {
    name: "another city's topic",
    code: "KERB-CMD-TOPIC",
    send: (site) => ({ bytes: signed(site.content()), topic: "hanoi/cmd/v1/gw-01/light-01" }),
  },
  {
    name: "a topic of another version",
    code: "KERB-CMD-TOPIC",
    send: (site) => ({ bytes: signed(site.content()), topic: "hcmc/cmd/v2/gw-01/light-01" }),
  },
  { name: "nothing", code: "KERB-CMD-JSON", send: () => ({ bytes: Buffer.alloc(0) }) },
  {
    name: "bytes that are no text",
    code: "KERB-CMD-JSON",
    send: () => ({ bytes: Buffer.from([0xff, 0xfe, 0x00, 0x80]) }),
  },
  { name: "half a command", code: "KERB-CMD-JSON", send: altered((text) => text.slice(0, text.length / 2)) },
  { name: "a list", code: "KERB-CMD-JSON", send: () => ({ bytes: bytesOf([1, 2]) }) },
  { name: "null", code: "KERB-CMD-JSON", send: () => ({ bytes: bytesOf(null) }) },
  {
    name: "four thousand brackets",
    code: "KERB-CMD-JSON",
    send: () => ({ bytes: Buffer.from("[".repeat(4000) + "]".repeat(4000)) }),
  },
  {
    name: "NaN for a value",
    code: "KERB-CMD-JSON",
    send: altered((text) => text.replace('"dim":40', '"dim":NaN')),
  },
  {
    name: "a key twice",
    code: "KERB-CMD-JSON",
    send: altered((text) => text.replace('"args":', '"args":{"dim":100},"args":')),
  },
  {
    name: "a point twice",
    code: "KERB-CMD-JSON",
    send: altered((text) => text.replace('"dim":40', '"dim":100,"dim":40')),
  },
  // Form.
  { name: "an empty object", code: "KERB-CMD-SCHEMA", send: () => ({ bytes: bytesOf({}) }) },
  { name: "version 2", code: "KERB-CMD-SCHEMA", send: added({ v: 2 }) },
  { name: "an id that is no ULID", code: "KERB-CMD-SCHEMA", send: wrong({ id: "../../etc/passwd" }) },
  {
    name: "an id in small letters",
    code: "KERB-CMD-SCHEMA",
    send: wrong({ id: "01jd0000000000000000000000" }),
  },
  { name: "an unknown key", code: "KERB-CMD-SCHEMA", send: added({ force: true }) },
  {
    name: "__proto__ as a key",
    code: "KERB-CMD-SCHEMA",
    send: altered((text) => text.replace('{"v"', '{"__proto__":{"mode":"execute"},"v"')),
  },
  { name: "constructor as a key", code: "KERB-CMD-SCHEMA", send: added({ constructor: { prototype: {} } }) },
  {
    name: "__proto__ as a point",
    code: "KERB-CMD-SCHEMA",
    send: altered((text) => text.replace('"dim":40', '"__proto__":40')),
  },
  { name: "no signature", code: "KERB-CMD-SCHEMA", send: (site) => ({ bytes: bytesOf(site.content()) }) },
  {
    name: "a signature that is cut",
    code: "KERB-CMD-SCHEMA",
    send: altered((text) => text.replace(/"sig":"[^"]{20}/, '"sig":"')),
  },
  { name: "no arguments", code: "KERB-CMD-SCHEMA", send: wrong({ args: {} }) },
  {
    name: "seventeen points",
    code: "KERB-CMD-SCHEMA",
    send: wrong({ args: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`p${i}`, 1])) }),
  },
  { name: "arguments in a list", code: "KERB-CMD-SCHEMA", send: added({ args: [1] }) },
  {
    name: "a value too large for a number",
    code: "KERB-CMD-SCHEMA",
    send: altered((text) => text.replace('"dim":40', '"dim":1e400')),
  },
  { name: "null for a value", code: "KERB-CMD-SCHEMA", send: added({ args: { dim: null } }) },
  { name: "an object for a value", code: "KERB-CMD-SCHEMA", send: added({ args: { dim: { valueOf: 40 } } }) },
  {
    name: "control characters in a text",
    code: "KERB-CMD-SCHEMA",
    send: wrong({ args: { scene: "off\u0000\u001b[2J" } }),
  },
  {
    name: "half a surrogate pair",
    code: "KERB-CMD-SCHEMA",
    send: altered((text) => text.replace('"dim":40', '"scene":"\\ud800"')),
  },
  {
    name: "a text of 300 characters",
    code: "KERB-CMD-SCHEMA",
    send: wrong({ args: { scene: "x".repeat(300) } }),
  },
  { name: "a mode that does not exist", code: "KERB-CMD-SCHEMA", send: added({ mode: "force" }) },
  { name: "a commit without a token", code: "KERB-CMD-SCHEMA", send: wrong({ mode: "commit" }) },
  { name: "execute with a token", code: "KERB-CMD-SCHEMA", send: wrong({ arm: "A".repeat(22) }) },
  { name: "a time in fractions", code: "KERB-CMD-SCHEMA", send: wrong({ notAfter: 1.5 }) },
  { name: "a time as a text", code: "KERB-CMD-SCHEMA", send: added({ notAfter: "tomorrow" }) },
  { name: "a person in capitals", code: "KERB-CMD-SCHEMA", send: wrong({ by: "An.Nguyen@ioc" }) },
  { name: "a reason with a line end", code: "KERB-CMD-SCHEMA", send: wrong({ reason: 'ok\n{"ev":"done"}' }) },
  { name: "a lease of no time", code: "KERB-CMD-SCHEMA", send: wrong({ lease: 0 }) },
  { name: "an operation that does not exist", code: "KERB-CMD-OPERATION", send: added({ op: "reboot" }) },
  // Origin.
  { name: "another gateway's command", code: "KERB-CMD-GATEWAY", send: wrong({ gw: "gw-02" }) },
  {
    name: "an issuer that nobody knows",
    code: "KERB-CMD-ISSUER",
    send: (site) => ({ bytes: signed(site.content({ by: "eve" }), stranger) }),
  },
  {
    name: "an issuer that calls itself local",
    code: "KERB-CMD-ISSUER",
    send: (site) => ({ bytes: signed(site.content({ by: "eve@local", role: "local" }), stranger) }),
  },
  { name: "a site without issuers", code: "KERB-CMD-ISSUER", config: { issuers: [] }, send: wrong({}) },
  {
    name: "a signature with a stranger's key",
    code: "KERB-CMD-SIGNATURE",
    send: (site) => ({ bytes: signed(site.content(), stranger) }),
  },
  {
    name: "a signature with another issuer's key",
    code: "KERB-CMD-SIGNATURE",
    send: (site) => ({ bytes: signed(site.content(), depot) }),
  },
  {
    name: "a value changed after signing",
    code: "KERB-CMD-SIGNATURE",
    send: altered((text) => text.replace('"dim":40', '"dim":45')),
  },
  {
    name: "a longer life after signing",
    code: "KERB-CMD-SIGNATURE",
    send: altered((text) => text.replace(/"notAfter":(\d+)/, (_, at) => `"notAfter":${Number(at) + 1000}`)),
  },
  {
    name: "a lease added after signing",
    code: "KERB-CMD-SIGNATURE",
    send: altered((text) => text.replace('"sig"', '"lease":1000,"sig"')),
  },
  {
    name: "another command's signature",
    code: "KERB-CMD-SIGNATURE",
    send: (site) => ({
      bytes: bytesOf({
        ...site.content(),
        sig: signCommand(site.content({ args: { dim: 15 } }), ioc.secret).sig,
      }),
    }),
  },
  {
    name: "a signature of zeros",
    code: "KERB-CMD-SIGNATURE",
    send: (site) => ({ bytes: bytesOf({ ...site.content(), sig: Buffer.alloc(64).toString("base64") }) }),
  },
  // Rights.
  {
    name: "a role that the issuer does not have",
    code: "KERB-CMD-ROLE",
    send: (site) => ({ bytes: signed(site.content({ by: "depot", role: "traffic" }), depot) }),
  },
  { name: "a role that nobody has", code: "KERB-CMD-ROLE", send: wrong({ role: "root" }) },
  {
    name: "a role named like a prototype's key",
    code: "KERB-CMD-ROLE",
    send: wrong({ role: "constructor" }),
  },
  {
    name: "a role that does not have the device",
    code: "KERB-CMD-ROLE",
    send: (site) => ({
      bytes: signed(site.content({ dev: "sign-01", args: { text: "x" } })),
      topic: topicOf("sign-01"),
    }),
  },
  { name: "a role that does not have the point", code: "KERB-CMD-ROLE", send: wrong({ role: "traffic" }) },
  {
    name: "a device that is not there",
    code: "KERB-CMD-DEVICE",
    send: (site) => ({ bytes: signed(site.content({ dev: "light-99" })), topic: topicOf("light-99") }),
  },
  {
    name: "a signal group",
    code: "KERB-CMD-PHASE",
    send: (site) => ({
      bytes: signed(site.content({ dev: "tsc-01", role: "traffic", args: { "signal.group1": "green" } })),
      topic: topicOf("tsc-01"),
    }),
  },
  { name: "a point that does not exist", code: "KERB-CMD-POINT", send: wrong({ args: { siren: true } }) },
  { name: "a point that is not listed", code: "KERB-CMD-POINT", send: wrong({ args: { closed: 1 } }) },
  {
    name: "a point that the profile does not offer",
    code: "KERB-CMD-POINT",
    send: wrong({ args: { energy: 0 } }),
  },
  {
    name: "a point named like a prototype's key",
    code: "KERB-CMD-POINT",
    send: wrong({ args: { constructor: 1 } }),
  },
  {
    name: "one point of two that is not listed",
    code: "KERB-CMD-POINT",
    send: wrong({ args: { dim: 40, closed: 1 } }),
  },
  // Values.
  { name: "a text for a number", code: "KERB-CMD-VALUE", send: wrong({ args: { dim: "40" } }) },
  { name: "a number for a switch", code: "KERB-CMD-VALUE", send: wrong({ args: { lamp: 1 } }) },
  {
    name: "a word that is none of the point's",
    code: "KERB-CMD-VALUE",
    send: wrong({ args: { scene: "disco" } }),
  },
  { name: "a raw value instead of its word", code: "KERB-CMD-VALUE", send: wrong({ args: { scene: 1 } }) },
  {
    name: "a value between the allowed ones",
    code: "KERB-CMD-VALUE",
    send: wrong({ args: { "flow.L1": 1 } }),
  },
  { name: "above the profile's limit", code: "KERB-CMD-LIMIT", send: wrong({ args: { dim: 105 } }) },
  { name: "below the site's limit", code: "KERB-CMD-LIMIT", send: wrong({ args: { dim: 5 } }) },
  { name: "hugely negative", code: "KERB-CMD-LIMIT", send: wrong({ args: { dim: -1e308 } }) },
  { name: "between two steps", code: "KERB-CMD-STEP", send: wrong({ args: { dim: 42 } }) },
  {
    name: "one good value and one that is not",
    code: "KERB-CMD-LIMIT",
    send: wrong({ args: { lamp: true, dim: 200 } }),
  },
  {
    name: "a lease longer than the profile's",
    code: "KERB-CMD-LEASE",
    send: wrong({ args: { boost: true }, lease: 30_001 }),
  },
  {
    name: "a safety point with another one",
    code: "KERB-CMD-SINGLE",
    send: (site) => ({
      bytes: signed(site.content({ ...sign, role: "all", args: { text: "x", dim: 1 } })),
      topic: topicOf("sign-01"),
    }),
    config: {
      issuers: [{ id: "ioc", key: ioc.key, roles: ["all"] }],
      roles: { all: { devices: ["sign-01"] } },
    },
  },
  // Time.
  {
    name: "expired",
    code: "KERB-CMD-EXPIRED",
    send: (site) => ({
      bytes: signed(site.content({ issued: site.now.wallMs - 30_000, notAfter: site.now.wallMs - 1 })),
    }),
  },
  {
    name: "of this very millisecond",
    code: "KERB-CMD-EXPIRED",
    send: (site) => ({ bytes: signed(site.content({ notAfter: site.now.wallMs })) }),
  },
  {
    name: "from the future",
    code: "KERB-CMD-FUTURE",
    send: (site) => ({
      bytes: signed(site.content({ issued: site.now.wallMs + 6000, notAfter: site.now.wallMs + 20_000 })),
    }),
  },
  {
    name: "valid for an hour",
    code: "KERB-CMD-LIFETIME",
    send: (site) => ({ bytes: signed(site.content({ notAfter: site.now.wallMs + 3_600_000 })) }),
  },
  {
    name: "over before it was issued",
    code: "KERB-CMD-LIFETIME",
    send: (site) => ({ bytes: signed(site.content({ notAfter: site.now.wallMs - 60_000 })) }),
  },
  {
    name: "while the clock is wrong",
    code: "KERB-CMD-CLOCK",
    before: async (site) => void (site.now.clock = "unsynced"),
    send: wrong({}),
  },
  {
    name: "while nobody vouches for the clock",
    code: "KERB-CMD-CLOCK",
    before: async (site) => void (site.now.clock = "holdover"),
    send: wrong({}),
  },
  {
    name: "with a nonce that was never given",
    code: "KERB-CMD-NONCE",
    before: async (site) => void (site.now.clock = "unsynced"),
    send: wrong({ nonce: "A".repeat(22) }),
  },
  {
    name: "with a nonce that was used",
    code: "KERB-CMD-NONCE",
    before: async (site, desk) => {
      site.now.clock = "unsynced";
      site.nonces.push(desk.nonce("ioc"));
      await take(desk, site.content({ nonce: site.nonces[0]! }));
    },
    send: (site) => ({ bytes: signed(site.content({ nonce: site.nonces[0]! })) }),
  },
  {
    name: "with a nonce that is older than a minute",
    code: "KERB-CMD-NONCE",
    before: async (site, desk) => {
      site.now.clock = "unsynced";
      site.nonces.push(desk.nonce("ioc"));
      site.pass(60_000);
    },
    send: (site) => ({ bytes: signed(site.content({ nonce: site.nonces[0]! })) }),
  },
  {
    name: "with another issuer's nonce",
    code: "KERB-CMD-NONCE",
    before: async (site, desk) => {
      site.now.clock = "unsynced";
      site.nonces.push(desk.nonce("depot"));
    },
    send: (site) => ({ bytes: signed(site.content({ nonce: site.nonces[0]! })) }),
  },
  // Repeats.
  {
    name: "an id with other arguments",
    code: "KERB-CMD-DUPLICATE",
    before: (site, desk) => take(desk, site.content()),
    send: (site, before) => ({ bytes: signed(site.content({ id: before!.id, args: { dim: 45 } })) }),
  },
  {
    name: "an id with a longer life",
    code: "KERB-CMD-DUPLICATE",
    before: (site, desk) => take(desk, site.content()),
    send: (site, before) => ({
      bytes: signed(site.content({ id: before!.id, notAfter: site.now.wallMs + 40_000 })),
    }),
  },
  {
    name: "an id of another issuer's command",
    code: "KERB-CMD-DUPLICATE",
    before: (site, desk) => take(desk, site.content()),
    send: (site, before) => ({ bytes: signed(site.content({ id: before!.id, by: "depot" }), depot) }),
  },
  {
    name: "the third in a minute of two",
    code: "KERB-CMD-RATE",
    config: { ratePerMinute: 2 },
    before: async (site, desk) => {
      await take(desk, site.content());
      await take(desk, site.content());
    },
    send: wrong({}),
  },
  // Two steps.
  {
    name: "a safety point in one step",
    code: "KERB-CMD-ARM-NEEDED",
    send: (site) => ({ bytes: signed(site.content(sign)), topic: topicOf("sign-01") }),
  },
  {
    name: "a two-person point in one step",
    code: "KERB-CMD-ARM-NEEDED",
    send: (site) => ({ bytes: signed(site.content(barrier)), topic: topicOf("barrier-01") }),
  },
  {
    name: "a token that was never given",
    code: "KERB-CMD-ARM-UNKNOWN",
    send: committing({ arm: "A".repeat(22) }),
  },
  {
    name: "a token that was used",
    code: "KERB-CMD-ARM-USED",
    before: async (site, desk) => {
      const armed = await arming()(site, desk);
      await desk.take(committing({})(site, armed).bytes, topicOf("sign-01"));
      return armed;
    },
    send: committing({}),
  },
  {
    name: "a token whose arm was aborted",
    code: "KERB-CMD-ARM-USED",
    before: async (site, desk) => {
      const armed = await arming()(site, desk);
      await desk.take(committing({ mode: "abort" })(site, armed).bytes, topicOf("sign-01"));
      return armed;
    },
    send: committing({}),
  },
  {
    name: "a token after 15 s",
    code: "KERB-CMD-ARM-EXPIRED",
    before: async (site, desk) => {
      const armed = await arming()(site, desk);
      site.pass(15_000);
      return armed;
    },
    send: committing({}),
  },
  {
    name: "a token for another text",
    code: "KERB-CMD-ARM-OTHER",
    before: arming(),
    send: committing({ args: { text: "Đường đóng" } }),
  },
  {
    name: "a token for another lease",
    code: "KERB-CMD-ARM-OTHER",
    before: arming(),
    send: committing({ lease: 60_000 }),
  },
  {
    name: "a token for another device",
    code: "KERB-CMD-ARM-OTHER",
    before: arming(),
    send: committing({ dev: "tsc-01", args: { plan: 3 } }),
  },
  {
    name: "somebody else's token",
    code: "KERB-CMD-ARM-OTHER",
    before: arming(),
    send: committing({ by: "binh.tran@ioc" }),
  },
  {
    name: "both steps by one person",
    code: "KERB-CMD-TWO-PERSON",
    before: arming(barrier),
    send: committing(barrier),
  },
  // The device.
  {
    name: "a device that is lost",
    code: "KERB-CMD-OFFLINE",
    before: async (site) => void site.facts.set("light-01", { state: "lost", writable: true }),
    send: wrong({}),
  },
  {
    name: "a device that was never heard of",
    code: "KERB-CMD-OFFLINE",
    before: async (site) => void site.facts.delete("light-01"),
    send: wrong({}),
  },
  {
    name: "a unit that is another one",
    code: "KERB-CMD-IDENTITY",
    before: async (site) =>
      void site.facts.set("light-01", { state: "online", writable: false, reason: "another serial number" }),
    send: wrong({}),
  },
  {
    name: "a device that is operated on site",
    code: "KERB-CMD-OVERRIDE",
    before: async (site) =>
      void site.facts.set("light-01", {
        state: "online",
        writable: true,
        override: "the switch is on local",
      }),
    send: wrong({}),
  },
  {
    name: "while the gateway stops",
    code: "KERB-CMD-STOPPING",
    before: async (site, desk) => void desk.close(),
    send: wrong({}),
  },
];

describe("hostile and broken commands", () => {
  it("are many, and each of the desk's codes is among them", () => {
    expect(attacks.length).toBeGreaterThanOrEqual(60);
    expect(new Set(attacks.map(({ name }) => name)).size).toBe(attacks.length);
    // These come of an execution, of too much at once, or of a disk that fails.
    const others = [
      "BUSY",
      "JOURNAL",
      "INTERLOCK",
      "RESTARTED",
      "HOST",
      "NOT-WRITTEN",
      "UNRESOLVED",
      "BEFORE",
    ];
    const seen = [...attacks.map(({ code }) => code), ...others.map((code) => `KERB-CMD-${code}`)];
    expect(Object.keys(commandErrors).filter((code) => !seen.includes(code))).toEqual([]);
  });

  it.each(attacks)("$name: $code", async ({ code, config, before, send }) => {
    const site = new Site(join(root, String(++folders)), config);
    const desk = await site.open();
    const earlier = (await before?.(site, desk)) ?? undefined;
    const writes = site.field.writes.length;
    const records = (await recordsOf(site.folder)).filter(({ ev }) => ev === "refused").length;
    const { bytes, topic = topicOf("light-01") } = send(site, earlier);
    const state = await desk.take(bytes, topic);
    expect(state).toMatchObject({ state: "rejected", code });
    expect(state.reason).toMatch(/^\P{Cc}{5,300}$/u);
    await desk.close();
    expect(site.field.writes).toHaveLength(writes);
    if (code === "KERB-CMD-STOPPING") return;
    const refused = (await recordsOf(site.folder)).filter(({ ev }) => ev === "refused").slice(records);
    expect(refused).toEqual([expect.objectContaining({ code })]);
    expect(site.told.filter((told) => told.code === code)).toEqual([state]);
    expect((await checkJournal(site.folder)).break).toBeUndefined();
  });

  it("would be executed without what is wrong with them", async () => {
    const site = new Site(join(root, String(++folders)));
    const desk = await site.open();
    expect(await take(desk, site.content())).toMatchObject({ state: "done", readBack: { dim: 40 } });
    expect(await take(desk, site.content({ by: "depot" }), depot)).toMatchObject({ state: "done" });
    for (const args of [{ lamp: true, scene: "night" }, { "flow.L1": 2.5 }, { dim: 10 }, { dim: 100 }])
      expect(await take(desk, site.content({ args }))).toMatchObject({ state: "done", readBack: args });
    const armed = await arming()(site, desk);
    expect(armed).toMatchObject({ state: "done", armMs: 15_000 });
    const { bytes, topic } = committing({})(site, armed);
    expect(await desk.take(bytes, topic)).toMatchObject({ state: "done", readBack: { text: "Đi chậm" } });
    const first = await arming(barrier)(site, desk);
    const second = committing({ ...barrier, by: "binh.tran@ioc" })(site, first);
    expect(await desk.take(second.bytes, second.topic)).toMatchObject({ state: "done" });
    site.now.clock = "unsynced";
    const challenged = await take(desk, site.content());
    expect(challenged).toMatchObject({ code: "KERB-CMD-CLOCK", nonceMs: 60_000 });
    expect(await take(desk, site.content({ nonce: challenged.nonce! }))).toMatchObject({ state: "done" });
    expect(site.field.writes).toHaveLength(10);
    await desk.close();
  });
});

import type { CommandContent } from "./command.ts";
import type { CommandDesk } from "./desk.ts";
import type { CommandState } from "./state.ts";
import { type Attack, wrong } from "./test-attacks-origin.ts";
import { depot, ioc, signed, type Site, topicOf } from "./testing.ts";

/** Commands of those who may send some: too far, too late, too often, in one step, to a device that must not have them. */

export const take = (desk: CommandDesk, content: CommandContent, by = ioc) =>
  desk.take(signed(content, by), topicOf(content.dev));

export const sign = { dev: "sign-01", role: "traffic", args: { text: "Đi chậm" } } as const;
export const barrier = { dev: "barrier-01", role: "traffic", args: { open: true } } as const;
export const arming =
  (more: Partial<CommandContent> = {}) =>
  (site: Site, desk: CommandDesk) =>
    take(desk, site.content({ ...sign, mode: "arm", ...more }));
export const committing =
  (more: Partial<CommandContent>, by = ioc) =>
  (site: Site, before: CommandState | undefined) => {
    const content = site.content({ ...sign, mode: "commit", arm: before?.arm ?? "", ...more });
    return { bytes: signed(content, by), topic: topicOf(content.dev) };
  };

export const rightAttacks: Attack[] = [
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
    before: async (_, desk) => void desk.close(),
    send: wrong({}),
  },
];

import { type CommandContent, signCommand } from "./command.ts";
import type { CommandDesk } from "./desk.ts";
import type { CommandCode } from "./error-texts.ts";
import type { CommandsConfig } from "./policy.ts";
import type { CommandState } from "./state.ts";
import { bytesOf, depot, ioc, signed, type Site, stranger, topicOf } from "./testing.ts";

/** Commands that are broken, or that somebody sends who may not; and how a command is made wrong. */

export interface Attack {
  name: string;
  code: CommandCode;
  config?: Partial<CommandsConfig>;
  /** What was done before, rightfully: its records and writes do not count. */
  before?: (site: Site, desk: CommandDesk) => Promise<CommandState | void>;
  send: (site: Site, before: CommandState | undefined) => { bytes: Uint8Array; topic?: string };
}

/** A signed command with one thing wrong. */
export const wrong = (more: Partial<CommandContent>) => (site: Site) => ({
  bytes: signed(site.content(more)),
});
/** The JSON text of a sound command, changed after it was signed; the topic stays. */
const altered = (change: (text: string) => string) => (site: Site) => ({
  bytes: Buffer.from(change(signed(site.content()).toString())),
});
/** A sound command with keys added, and signed with them. */
const added = (more: object) => (site: Site) => ({
  bytes: signed({ ...site.content(), ...more }),
});
export const originAttacks: Attack[] = [
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
  {
    name: "4,000 lists within each other",
    code: "KERB-CMD-SCHEMA",
    send: () => ({ bytes: Buffer.from(`{"a":${"[".repeat(4000)}${"]".repeat(4000)}}`) }),
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
];

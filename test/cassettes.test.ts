import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formsOf } from "../gateway/cassette/scrub.ts";
import { libraryCassettes, playCassette } from "../gateway/cli/profile/cassettes.ts";
import { loadCassette } from "../gateway/cli/profile/load-cassette.ts";
import { profileTest } from "../gateway/cli/profile/profile-test.ts";
import { record } from "../gateway/cli/profile/record.ts";
import { complaintOf, root, Tapes } from "./cassette-rig.ts";
import { freePort } from "./ports.ts";

/** Cassettes from end to end: recorded from pretend devices, scrubbed, played, held against profiles. */

const tapes = new Tapes();
const { folder } = tapes;
const site = join(folder, "site.yaml");
const password = "Geheim-9-Wort";
const community = "night-owl-77";

const place = async () => ({ host: "127.0.0.1", port: await freePort() });
const tcp = async (type: string) => ({ transport: { type, ...(await place()) } });
const auth = (type: string) => ({ auth: { type, user: "viewer", password: "${secret:web}" } });

const hook = { listen: "127.0.0.1:18081", token: "a-pretend-device-token" };
const login = { user: "viewer", password: "${secret:web}" };
const security = { user: "viewer", auth: "sha256", authPassword: "${secret:web}" };

beforeAll(async () => {
  const devices = [
    { id: "meter", driver: "modbus", profile: "eastron/sdm630", unit: 1, ...(await tcp("tcp")) },
    { id: "level", driver: "modbus", profile: "qdy/qdy30a", unit: 1, ...(await tcp("rtu-over-tcp")) },
    { id: "dust", driver: "serial", profile: "met-one/bam-1020", ...(await tcp("tcp")) },
    {
      id: "basic",
      driver: "http",
      profile: "generic/json-meter",
      insecure: "acknowledged",
      ...(await place()),
      ...auth("basic"),
    },
    { id: "digest", driver: "http", profile: "generic/xml-weather", ...(await place()), ...auth("digest") },
    { id: "ups", driver: "snmp", profile: "ups/rfc1628", community, ...(await place()) },
    { id: "posts", driver: "http", profile: "generic/radar-counter-webhook", webhook: hook },
    { id: "camera", driver: "onvif", profile: "onvif/profile-t", host: "127.0.0.1", tls: {}, ...login },
    { id: "sealed", driver: "snmp", profile: "ups/rfc1628", host: "127.0.0.1", version: "3", security },
  ];
  mkdirSync(join(folder, "secrets"));
  writeFileSync(join(folder, "secrets", "web"), password);
  tapes.site("site.yaml", devices);
  await tapes.simulated("--site", site, "--device", "meter", "level", "dust", "basic", "digest", "ups");
});

afterAll(() => {
  tapes.close();
});

async function recorded(id: string): Promise<string> {
  const out = join(folder, `${id}.cassette.yaml`);
  expect(await record(id, { site, out, forMs: 1500, json: true })).toBe(0);
  return out;
}

async function refusal(id: string, options = {}): Promise<string> {
  const { exitCode, title, hint } = await complaintOf(() =>
    record(id, { site, out: join(folder, "no.yaml"), lang: "en", ...options }),
  );
  expect(exitCode).toBe(2);
  return `${title} → ${hint}`;
}

describe("a recorded device", () => {
  it.each(["meter", "level", "dust", "basic", "digest", "ups"])(
    "%s is read from its cassette as it was",
    async (id) => {
      const out = await recorded(id);
      const cassette = loadCassette(out);
      expect(cassette.unstable).toEqual([]);
      expect(Object.keys(cassette.reads.at(-1) ?? {}).length).toBeGreaterThan(0);
      expect(await playCassette(cassette, out)).toEqual({ differences: [], unknown: 0, failure: undefined });
      // Nothing that is secret is in it, neither as it stands there nor in its bytes.
      const text = readFileSync(out, "utf8");
      const bytes = Buffer.concat(cassette.connections.flat().map((frame) => frame.bytes));
      for (const secret of [password, community, "viewer", `viewer:${password}`]) {
        expect(text).not.toContain(secret);
        for (const form of formsOf(secret)) expect(bytes.includes(form), form.toString()).toBe(false);
      }
    },
  );

  it("whose profile has another scale, another register or no such point now is told point by point", async () => {
    const profiles = join(folder, "profiles");
    cpSync(join(root, "firmware-profiles"), profiles, { recursive: true });
    const file = join(profiles, "qdy/qdy30a.yaml");
    const text = readFileSync(file, "utf8");
    const cassettes = [join(profiles, "qdy/qdy30a.cassettes/simulator.yaml")];
    const cassette = loadCassette(cassettes[0] as string);
    expect(await profileTest(cassettes, { profiles, json: true })).toBe(0);
    writeFileSync(file, text.replace("scale: 0.001", "scale: 0.01"));
    const { differences } = await playCassette(cassette, file, profiles);
    expect(differences.map(({ point, read }) => `${point} ${read}`)).toEqual(
      cassette.reads.map((_, i) => `waterLevel ${i + 1}`),
    );
    expect(await profileTest(cassettes, { profiles, json: true })).toBe(6);
    writeFileSync(file, text.replace(/^( {2})waterLevel:/m, "$1level:"));
    expect((await playCassette(cassette, file, profiles)).differences[0]).toMatchObject({ found: "nothing" });
  });

  it("answers other programs too, by kerb simulate --cassette", async () => {
    const address = await tapes.simulated(
      "--cassette",
      join(root, "firmware-profiles/qdy/qdy30a.cassettes/simulator.yaml"),
      "--port",
      "0",
    );
    const port = Number(address.split(":")[1]);
    const transport = { type: "rtu-over-tcp", host: "127.0.0.1", port };
    const replayed = tapes.site("replayed.yaml", [
      { id: "level", driver: "modbus", profile: "qdy/qdy30a", unit: 1, transport },
    ]);
    const out = join(folder, "again.yaml");
    expect(await record("level", { site: replayed, out, forMs: 400, json: true })).toBe(0);
    const [first] = loadCassette(join(root, "firmware-profiles/qdy/qdy30a.cassettes/simulator.yaml")).reads;
    expect(loadCassette(out).reads[0]).toEqual(first);
  });
});

describe("what cannot be recorded", () => {
  it("is refused in one sentence", async () => {
    expect(await refusal("posts")).toMatch(
      /^posts cannot be recorded: it posts by itself.* → keep one of its posts/,
    );
    expect(await refusal("camera")).toMatch(
      /^camera cannot be recorded: it speaks TLS.* → record it in clear/,
    );
    expect(await refusal("sealed")).toMatch(
      /^sealed cannot be recorded: SNMPv3 .* → record it with version 2c/,
    );
    expect(await refusal("meter", { hide: ["abc"] })).toMatch(
      /^meter cannot be recorded: --hide has fewer than 4 characters/,
    );
  });
});

describe("the library", () => {
  it.each(libraryCassettes().map((file) => [file.slice(root.length), file]))("%s", async (_, file) => {
    const cassette = loadCassette(file);
    const bytes = cassette.connections.flat().map((frame) => frame.bytes.toString("latin1"));
    for (const text of [readFileSync(file, "utf8"), bytes.join("")])
      expect(text).not.toMatch(/\d\d-?[A-Z]{1,2}\d?[- ]\d{3}/);
    expect(await playCassette(cassette, file)).toMatchObject({
      differences: [],
      failure: undefined,
    });
  });
});

import { createHash, X509Certificate } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Cassette } from "../gateway/cassette/cassette.ts";
import { formsOf } from "../gateway/cassette/scrub.ts";
import { playCassette } from "../gateway/cli/profile/cassettes.ts";
import { loadCassette } from "../gateway/cli/profile/load-cassette.ts";
import { startSimulator } from "../gateway/cli/simulate/simulate.ts";
import { loadSite } from "../gateway/config/config.ts";
import { applicationUri, pretendIdentity } from "../simulators/opcua/certificate.ts";
import { messageOf } from "../simulators/opcua/clear.ts";
import { root, Tapes } from "./cassette-rig.ts";
import { freePort } from "./ports.ts";

/** Recordings of OPC UA: what is asked and answered in a session, whatever protects it. */

const tapes = new Tapes();
const closing: (() => unknown)[] = [];
const host = "127.0.0.1";
const password = "Geheim-9-Wort";
const same = { differences: [], failure: undefined, unknown: 0 };
const certificate = new X509Certificate(pretendIdentity().certificate).raw;
const pin = createHash("sha256").update(certificate).digest("hex");

beforeAll(() => {
  mkdirSync(tapes.path("secrets"));
  writeFileSync(tapes.path("secrets/web"), password);
});
afterAll(async () => {
  for (const close of closing) await close();
  tapes.close();
});

/** A pretend server of a profile that tells records often, and a site that has it. */
async function served(id: string, profile: string, own: Record<string, unknown>): Promise<string> {
  const port = await freePort();
  const place =
    typeof own["endpoint"] === "string" ? { endpoint: `${own["endpoint"]}:${port}` } : { host, port };
  const site = tapes.site(`${id}.yaml`, [{ driver: "opcua", ...own, ...place, id, profile }]);
  const [device] = (await loadSite(site)).devices;
  const server = await startSimulator(device!, 1, undefined, 500);
  closing.push(() => server.close());
  return site;
}

const messages = ({ connections }: Cassette) => connections.flat().map(({ bytes }) => messageOf(bytes));
const protectedBy = { user: "viewer", password: "${secret:web}", pin };

describe("a server", () => {
  it.each([
    ["scale", "opc-foundation/vehicle-scale", { security: "none", endpoint: "opc.tcp://127.0.0.1" }],
    ["signed", "opc-foundation/vehicle-scale", { security: "sign", ...protectedBy }],
    ["lights", "opcua/signal-controller", protectedBy],
  ])(
    "%s is recorded in its session, without anything that makes one, and tells the same again",
    async (id, profile, own) => {
      const site = await served(id, profile, own);
      const { cassette, text, bytes, file } = await tapes.record(site, id, { forMs: 4000 });
      expect(cassette).toMatchObject({ over: "opcua", way: "listens", unstable: [], limits: [] });
      expect(cassette.settings).toEqual({ security: "none", host });
      expect(Object.keys(cassette.reads.at(-1) ?? {}).length).toBeGreaterThan(6);
      expect(cassette.records.length).toBeGreaterThan(0);
      const names = new Set(
        messages(cassette).map(({ schema }) => schema.name.replace(/Re(quest|sponse)$/, "")),
      );
      expect([...names].filter((name) => /Session|Channel|Endpoint|Hello/.test(name))).toEqual([]);
      for (const secret of [password, "viewer", applicationUri, pin])
        for (const form of formsOf(secret)) {
          expect(bytes.includes(form), secret).toBe(false);
          expect(text.includes(form.toString()), secret).toBe(false);
        }
      expect(bytes.includes(certificate.subarray(0, 64))).toBe(false);
      expect(cassette.scrubbed).toContain("names of the device");
      expect(await playCassette(cassette, file)).toEqual(same);
      const [first, ...rest] = cassette.records;
      const changed = { ...cassette, records: [{ ...first!, kind: "state" }, ...rest] };
      expect((await playCassette(changed, file)).differences).toHaveLength(1);
    },
    60_000,
  );

  it("by a serial number is told without it where it shall be hidden", async () => {
    const site = await served("numbered", "opc-foundation/vehicle-scale", { security: "none" });
    const { cassette, text, bytes, file } = await tapes.record(site, "numbered", { hideSerial: true });
    expect(cassette.scrubbed).toContain("serial number");
    expect(text + bytes.toString("latin1")).not.toContain("SIM1");
    expect(await playCassette(cassette, file)).toEqual(same);
  }, 60_000);

  it("that tells nothing by itself is asked as often as it was, and each answer is that of its turn", async () => {
    const points = {
      second: { address: { path: "tsc:CycleSecond", type: "UInt16" }, unit: "s", poll: "fast" },
    };
    const own = {
      security: "none",
      namespaces: { tsc: "urn:kerb:signal-controller" },
      points,
      poll: { normal: "300ms" },
    };
    const port = await freePort();
    const site = tapes.site("polled.yaml", [{ id: "one", driver: "opcua", host, port, ...own }]);
    const [device] = (await loadSite(site)).devices;
    const server = await startSimulator(device!, 1, undefined);
    closing.push(() => server.close());
    let count = 0;
    const counting = setInterval(() => server.set("second", ++count), 100);
    closing.push(() => clearInterval(counting));
    const { cassette, file } = await tapes.record(site, "one", { forMs: 2500 });
    expect(cassette).toMatchObject({ way: "asks", unstable: [] });
    const values = cassette.reads.map(({ second }) => second?.value);
    expect(new Set(values).size).toBe(values.length);
    expect(values.length).toBeGreaterThan(3);
    expect(await playCassette(cassette, file)).toEqual(same);
  }, 60_000);
});

const fileOf = (profile: string, folder = `${root}/firmware-profiles`) =>
  `${folder}/${profile}.cassettes/simulator.yaml`;

describe("the library's cassettes", () => {
  const scale = "opc-foundation/vehicle-scale";

  it("answer whoever asks for less, in another order, or polls what was told", async () => {
    const profiles = tapes.path("profiles");
    cpSync(`${root}/firmware-profiles`, profiles, { recursive: true });
    const profile = `${profiles}/opcua/signal-controller.yaml`;
    const text = readFileSync(profile, "utf8");
    const played = async (changed: string) => {
      writeFileSync(profile, changed);
      const file = fileOf("opcua/signal-controller", profiles);
      return playCassette(loadCassette(file), file, profiles);
    };
    const polled = text.replace(/(cycle\.length:[^]*?poll: )push/, "$1fast");
    expect(polled).not.toBe(text);
    expect(await played(polled)).toEqual(same);
    const gone = await played(text.replace('"tsc:Plan"', '"tsc:Plans"'));
    expect(gone.differences.map(({ point }) => point)).toEqual(["plan"]);
    expect(gone.failure).toBeUndefined();
    expect(gone.unknown).toBeGreaterThan(0);
  }, 60_000);

  it("answer a gateway again and again, by kerb simulate --cassette", async () => {
    const address = await tapes.simulated("--cassette", fileOf(scale), "--port", "0");
    const port = Number(address.split(":")[1]);
    const site = tapes.site("again.yaml", [
      { id: "scale", driver: "opcua", profile: scale, security: "none", host, port },
    ]);
    const { records } = loadCassette(fileOf(scale));
    for (const _ of [1, 2]) {
      const { cassette } = await tapes.record(site, "scale", { forMs: 2000 });
      // At its own pace it has not told all of them by then.
      expect(cassette.records.length).toBeGreaterThan(0);
      expect(cassette.records).toEqual(records.slice(0, cassette.records.length));
    }
  }, 60_000);

  it("whose bytes are no messages are a verdict, and no crash", async () => {
    const cassette = loadCassette(fileOf(scale));
    const connections = cassette.connections.map((frames) =>
      frames.map((frame) => ({ ...frame, bytes: frame.bytes.subarray(0, frame.bytes.length / 2) })),
    );
    const all = await playCassette({ ...cassette, connections }, "broken");
    expect(all.failure).toMatch(/./);
    // Of a single one the rest is still told.
    const last = cassette.connections
      .flat()
      .findLast(({ bytes }) => messageOf(bytes).schema.name.startsWith("Publish"))!;
    last.bytes = last.bytes.subarray(0, 20);
    const { failure, differences } = await playCassette(cassette, "damaged");
    expect(failure).toBeUndefined();
    expect(differences.length).toBeGreaterThan(0);
  }, 60_000);
});

import { readdirSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { record } from "../gateway/cli/profile/record.ts";
import { complaintOf, Tapes } from "./cassette-rig.ts";
import { freePort } from "./ports.ts";

/** Devices that cannot be recorded, because they are not there, or are not what the site file says. */

const tapes = new Tapes();
const closing: (() => unknown)[] = [];
const host = "127.0.0.1";

afterAll(async () => {
  for (const close of closing) await close();
  tapes.close();
});

async function complaint(id: string, own: Record<string, unknown>) {
  const site = tapes.site(`${id}.yaml`, [{ id, ...own }]);
  const out = tapes.path(`${id}.cassette.yaml`);
  return complaintOf(() => record(id, { site, out, forMs: 500, json: true, lang: "en" }));
}

const meter = (transport: object) => ({ driver: "modbus", profile: "eastron/sdm630", unit: 1, transport });
const ups = (place: object) => ({
  driver: "snmp",
  profile: "ups/rfc1628",
  community: "night-owl-77",
  ...place,
});
const dust = (transport: object) => ({ driver: "serial", profile: "met-one/bam-1020", transport });
const nobody = "no-such-device.invalid";

describe("a device that is not there is told as by kerb read", () => {
  it.each([
    [
      "nothing listens (TCP)",
      async (port: number) => [meter({ type: "tcp", host, port }), "REFUSED", `${host}:${port}`],
    ],
    [
      "no such host (TCP)",
      async (port: number) => [
        meter({ type: "tcp", host: nobody, port }),
        "UNREACHABLE",
        `${nobody}:${port}`,
      ],
    ],
    ["nothing listens (UDP)", async (port: number) => [ups({ host, port }), "REFUSED", `${host}:${port}`]],
    [
      "no such host (UDP)",
      async (port: number) => [ups({ host: nobody, port }), "UNREACHABLE", `${nobody}:${port}`],
    ],
    [
      "no such port (Modbus)",
      async () => [meter({ type: "rtu", port: "/dev/nope", baud: 9600 }), "REFUSED", "/dev/nope"],
    ],
    [
      "no such port (serial)",
      async () => [dust({ type: "serial", port: "/dev/nope", baud: 9600 }), "REFUSED", "/dev/nope"],
    ],
    [
      "nobody answers",
      async () => {
        const server = createServer((socket) => socket.on("error", () => {}).resume());
        await new Promise<void>((resolve) => server.listen(0, host, resolve));
        closing.push(() => server.close());
        const { port } = server.address() as AddressInfo;
        return [meter({ type: "tcp", host, port }), "SILENT", `${host}:${port}`];
      },
    ],
  ] as [string, (port: number) => Promise<[object, string, string]>][])(
    "%s",
    async (_, make) => {
      const [own, code, place] = await make(await freePort());
      const {
        code: found,
        exitCode,
        hint,
        details,
      } = await complaint("lost", own as Record<string, unknown>);
      expect({ found, exitCode }).toEqual({ found: `KERB-DEV-${code}`, exitCode: 5 });
      expect(hint).toMatch(/\S/);
      expect(details?.find(([name]) => name === "seen")?.[1]).toContain(place);
    },
    30_000,
  );
});

describe("a device that is not what the site file says", () => {
  it("is not recorded as a device of its profile", async () => {
    const own = { driver: "modbus", unit: 1, transport: { type: "tcp", host, port: await freePort() } };
    const site = tapes.site("meter.yaml", [{ id: "meter", profile: "eastron/sdm630", ...own }]);
    await tapes.simulated("--site", site);
    const { exitCode, title, hint } = await complaint("other", { profile: "sunspec/meter-203", ...own });
    expect(exitCode).toBe(2);
    expect(title).toMatch(/^other cannot be recorded: it is another device than its profile says \(.+\)$/);
    expect(hint).toContain("kerb identify other");
    // Where all is refused that the site file asks for, nothing is shown of it either.
    const address = { table: "holding", register: 60_000, type: "uint16" };
    const bad = await complaint("bad", { ...own, points: { level: { address, unit: "m" } } });
    expect(bad.exitCode).toBe(2);
    expect(bad.title).toBe("bad cannot be recorded: none of its readings is good");
    expect(bad.hint).toContain("kerb read bad");
    expect(readdirSync(tapes.folder).filter((name) => name.includes("cassette"))).toEqual([]);
  }, 60_000);
});

it("a recording that cannot be written is told before the device is asked", async () => {
  let calls = 0;
  const server = createServer((socket) => (calls++, socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  closing.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const site = tapes.site("unwritable.yaml", [{ id: "meter", ...meter({ type: "tcp", host, port }) }]);
  for (const out of [`${site}/meter.yaml`, `${site}/more/meter.yaml`]) {
    const { exitCode, title, hint } = await complaintOf(() =>
      record("meter", { site, out, forMs: 500, json: true, lang: "en" }),
    );
    expect({ exitCode, calls }).toEqual({ exitCode: 2, calls: 0 });
    expect(title).toMatch(/meter\.yaml lies under a file/);
    expect(hint).toContain("check the path");
  }
}, 30_000);

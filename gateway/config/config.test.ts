import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { loadSite } from "./config.ts";
import { device, folder, head, heads, ownPoint, profileFolder, rendered, uplink, write } from "./testing.ts";

describe("references", () => {
  it("are resolved in every file, numbers included, and paths start from the file that holds them", async () => {
    vi.stubEnv("KERB_TEST_PORT", "1777");
    vi.stubEnv("KERB_TEST_HOST", "ioc.example");
    write("secrets/ioc", "hunter22\n");
    write("refs/host.txt", "10.9.8.7\n");
    write(
      "refs/a.yaml",
      "devices:\n  - id: a-1\n    driver: modbus\n    profile: acme/meter\n    transport: { type: tcp, host: '${file:host.txt}', port: '${env:KERB_TEST_PORT}' }\n",
    );
    const text = uplink("    url: mqtts://${env:KERB_TEST_HOST}:8883\n    password: ${secret:ioc}\n");
    const site = await loadSite(write("site.yaml", `${text}include: [refs/*.yaml]\n`), { profileFolder });
    expect(site.uplinks[0]).toMatchObject({ url: "mqtts://ioc.example:8883", password: "hunter22" });
    expect(site.devices[0]?.settings["transport"]).toEqual({ type: "tcp", host: "10.9.8.7", port: 1777 });
  });

  it("never show what they stand for", async () => {
    vi.stubEnv("KERB_TEST_SECRET", "Hunter-22");
    const secret = "${env:KERB_TEST_SECRET}";
    const places = [
      device(`    unit: ${secret}\n`),
      device(`    order: ${secret}\n    enabled: ${secret}\n    poll: ${secret}\n    points: ${secret}\n`),
      device("", ["id: air-01", `id: ${secret}`]),
      device("", ["profile: acme/meter", `profile: ${secret}`]),
      device("", ["driver: modbus", `driver: ${secret}`]),
      device("", ["type: tcp", `type: ${secret}`]),
      device("", ["{ type: tcp, host: 10.0.0.5 }", secret]),
      device(`    points:\n      power: { limits: ${secret} }\n`),
      ownPoint(`level: { address: { table: input, register: 1 }, unit: "${secret}" }`),
      ownPoint(`level: { address: { table: "${secret}", register: 1 }, scaleFactor: "${secret}" }`),
      uplink(`    url: ${secret}\n`),
      uplink(`    url: mqtt://${secret}:1883\n`),
      uplink(
        `    url: mqtts://me:${secret}@ioc.example\n    protocol: ${secret}\n    keepalive: ${secret}\n`,
      ),
      `${head}include: ["${secret}"]\n`,
      `${head}log: { level: ${secret} }\noutbox: ${secret}\n`,
    ];
    for (const text of places) {
      const shown = await rendered(text);
      expect(shown).toContain(secret);
      expect(shown.toLowerCase()).not.toContain("hunter");
    }
  });

  it("that cannot be resolved are mistakes at their place", async () => {
    const text = uplink(
      "    url: mqtts://ioc.example\n    username: ${env:KERB_TEST_NONE}\n    password: ${secret:none}\n    tls: { ca: '${secret:../x}', serverName: '${secrets:a}' }\n",
    );
    expect(await heads(text)).toEqual([
      'bad.yaml:7:15  the environment variable "KERB_TEST_NONE" is not set',
      'bad.yaml:8:15  the secret "none" (secrets/none) cannot be used: there is no such file',
      'bad.yaml:9:16  a secret is named by letters, digits, "-", "_" and ".", found "../x"',
      'bad.yaml:9:46  unknown reference "secrets" - did you mean "secret"?',
    ]);
    expect(await heads(uplink('    url: mqtts://ioc.example\n    password: "${secret:none"\n'))).toEqual([
      'bad.yaml:7:15  a reference is not closed: "}" is missing',
    ]);
  });
});

describe("a good site file", () => {
  it("takes settings, points and periods from the profile, with the device's own on top", async () => {
    const file = write(
      "site.yaml",
      device(
        "    poll: { fast: 200ms }\n    points:\n      voltage.L1: { limits: [180, 260], deadband: 0.5, poll: fast }\n      power.scale: { enabled: false }\n      energy: { enabled: false }\n",
      ),
    );
    const site = await loadSite(file, { profileFolder });
    expect(site.gateway).toEqual({
      id: "box-01",
      name: "Tủ 1",
      city: "demo",
      stateFolder: join(folder, "state"),
      timeZone: "Asia/Ho_Chi_Minh",
    });
    expect(site.outbox).toEqual({
      bytesMax: 256 * 1024 ** 2,
      commitAfterMs: 1000,
      commitEventsMax: 200,
      sealEveryMs: 3_600_000,
    });
    const [air] = site.devices;
    expect(air).toMatchObject({
      id: "air-01",
      name: "air-01",
      enabled: true,
      profile: "acme/meter",
      class: "energy-meter",
      firmwareRange: ">=1.0 <2.0",
      identity: { vendor: "Acme", model: "Meter" },
      settings: {
        order: "CDAB",
        unit: 1,
        timeout: 1000,
        transport: { type: "tcp", host: "10.0.0.5", port: 1502 },
      },
      identify: { standard: true, serial: { table: "holding", register: 8, type: "text", length: 4 } },
      pollMs: { fast: 200, normal: 5000, slow: 60_000 },
      place: { file, line: 4 },
    });
    expect(air?.points.map(({ name, publish }) => [name, publish])).toEqual([
      ["voltage.L1", true],
      ["power", true],
      // Disabled, but `power` needs it.
      ["power.scale", false],
    ]);
    expect(air?.points[0]).toMatchObject({
      address: { table: "input", register: 0, type: "float32" },
      limits: [180, 260],
      deadband: 0.5,
      poll: "fast",
      heartbeat: 300_000,
    });
  });

  it("is plain data, so that it can be sent to a child process", async () => {
    const site = await loadSite(write("site.yaml", device()), { profileFolder });
    expect(structuredClone(site)).toEqual(site);
    expect(JSON.parse(JSON.stringify(site))).toEqual(JSON.parse(JSON.stringify(structuredClone(site))));
  });

  it("may be without devices, uplinks and certificates, with a warning for each", async () => {
    const site = await loadSite(write("site.yaml", head), { profileFolder });
    expect(site.warnings.map(({ message }) => message)).toEqual([
      "no devices: there is nothing to read",
      "no uplinks: events stay in the outbox",
    ]);
    const secured = device().replace(
      "devices:",
      "uplinks: [{ id: ioc, type: mqtt, url: 'mqtts://a', tls: { ca: ca.pem } }]\ndevices:",
    );
    const { warnings, uplinks } = await loadSite(write("site.yaml", secured), { profileFolder });
    expect(warnings.map(({ line, message }) => [line, message])).toEqual([
      [3, 'there is no file "ca.pem" yet: the uplink waits for it'],
    ]);
    expect(uplinks[0]?.tls?.ca).toBe(join(folder, "ca.pem"));
  });

  it("allows the clear only to this machine or when it is acknowledged", async () => {
    for (const url of [
      "mqtt://localhost",
      "mqtt://127.0.0.1:1883",
      "mqtt://[::1]:1883",
      "mqtts://ioc.example",
    ]) {
      const site = await loadSite(write("site.yaml", uplink(`    url: "${url}"\n`)), { profileFolder });
      expect(site.uplinks[0]).toMatchObject({ url, insecure: false });
    }
    const text = uplink("    url: mqtt://ioc.example\n    insecure: acknowledged\n");
    const site = await loadSite(write("site.yaml", text), { profileFolder });
    expect(site.uplinks[0]?.insecure).toBe(true);
  });
});

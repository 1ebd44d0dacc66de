import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { Ajv, type ValidateFunction } from "ajv";
import { afterEach, describe, expect, test } from "vitest";
import {
  address as addressSchema,
  settings as settingsSchema,
  type Address,
} from "../../drivers/rsmp/settings.ts";
import { driver } from "../../drivers/rsmp/index.ts";
import type { Answer, Connection } from "../../gateway/driver.ts";
import { loadProfile, simulatedPoints, simulatedRecords } from "../../gateway/profiles/profiles.ts";
import { start } from "../../simulators/rsmp/index.ts";
import { Bench, kerb, programPath } from "./processes.ts";
import { Authority } from "./tls.ts";
import type { Simulator } from "../../simulators/simulator.ts";
import { freePort } from "../ports.ts";

/**
 * kerb's two RSMP ends before a peer that shares no code with them (`rsmp_peer.py`), in each version, and every
 * message of both checked against the published schemas.
 */

type Message = Record<string, unknown>;
interface Line {
  in?: Message;
  out?: Message;
  note?: string;
  answer?: Message | string;
  version?: string;
  port?: number;
}

const hasPython = spawnSync("python3", ["-c", "import json, socket"]).status === 0;
const script = fileURLToPath(new URL("rsmp_peer.py", import.meta.url));
const schemaFolder = fileURLToPath(new URL("../../../shared/schemas/rsmp/", import.meta.url));
const hasSchemas = existsSync(schemaFolder);
if (!hasPython) console.log("skipped: python3 is not installed, so there is no foreign RSMP peer");
if (!hasSchemas) console.log("skipped: no RSMP schemas at ../shared/schemas/rsmp to check messages against");

class Peer {
  readonly lines: Line[] = [];
  readonly #process: ChildProcess;

  constructor(...args: string[]) {
    this.#process = spawn("python3", [script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    createInterface({ input: this.#process.stdout! }).on("line", (line) =>
      this.lines.push(JSON.parse(line) as Line),
    );
  }

  async note(name: string): Promise<Line> {
    for (let i = 0; i < 1500; i++) {
      const line = this.lines.find(({ note }) => note === name);
      if (line !== undefined) return line;
      await sleep(10);
    }
    throw new Error(`no "${name}"; the last lines are ${JSON.stringify(this.lines.slice(-5))}`);
  }

  /** What kerb said. */
  get said(): Message[] {
    return this.lines.flatMap((line) => (line.in === undefined ? [] : [line.in]));
  }

  end(): void {
    this.#process.kill("SIGKILL");
  }
}

const open: (Peer | Simulator | Bench | Connection<Address>)[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await (one instanceof Peer ? one.end() : one.close());
});

/** The published schemas, as the reference page says how to load them. */
function validators(): { core: ValidateFunction; tlc: ValidateFunction } {
  const ajv = new Ajv({ strict: false, unicodeRegExp: false, logger: false });
  const add = (path: string): void => {
    for (const entry of readdirSync(`${schemaFolder}${path}`, { withFileTypes: true })) {
      const file = `${path}/${entry.name}`;
      if (entry.isDirectory()) add(file);
      else if (entry.name.endsWith(".json") && entry.name !== "sxl_index.json") {
        const text = readFileSync(`${schemaFolder}${file}`, "utf8")
          .replaceAll("(?-mix:", "(?:")
          // Ruby's recursion into a named group, which JavaScript has not.
          .replaceAll(String.raw`(,\\g<item>)*`, String.raw`(,\\d{1,2}\\-\\d{1,2}-\\d{1,2})*`);
        const { $schema: _, ...schema } = JSON.parse(text) as Message;
        ajv.addSchema({ ...schema, $id: `rsmp:///${file}` });
      }
    }
  };
  add("core/3.2.2");
  add("tlc/1.2.1");
  return {
    core: ajv.getSchema("rsmp:///core/3.2.2/rsmp.json")!,
    tlc: ajv.getSchema("rsmp:///tlc/1.2.1/rsmp.json")!,
  };
}

/** Checks every message against the schemas of core 3.2.2 and of the SXL. */
function expectLawful(messages: readonly Message[], isLate: boolean): void {
  if (!hasSchemas || !isLate) return;
  const { core, tlc } = validators();
  for (const message of messages) {
    for (const check of [core, tlc]) {
      const isFine = check(message);
      expect(isFine, `${JSON.stringify(message)}: ${JSON.stringify(check.errors)}`).toBe(true);
    }
  }
}

const versions = ["3.1.2", "3.1.3", "3.1.4", "3.1.5", "3.2.0", "3.2.1", "3.2.2"];
const patient = (): AbortSignal => new AbortController().signal;
const point = (name: string, given: unknown) => ({ name, address: addressSchema.parse(given) });

describe.skipIf(!hasPython)("the driver and a foreign site", () => {
  test.each(versions)("understand each other in %s", { timeout: 30_000 }, async (version) => {
    const port = await freePort();
    const settings = settingsSchema.parse({
      host: "127.0.0.1",
      port,
      siteId: "FOREIGN",
      component: "TC9",
      sxl: ["1.2.1"],
      commands: ["M0002"],
      securityCodes: { level2: "2222" },
      timeout: "5s",
    });
    const log: string[] = [];
    const context = { deviceId: "tlc-9", log: (_: string, text: string) => void log.push(text) };
    const connecting = driver.connect(settings, context, patient());
    await sleep(100);
    const peer = new Peer("site", String(port), "FOREIGN", "TC9", `3.1.1,${version},3.3.0`, "1.2.1");
    open.push(peer);
    const connection = await connecting;
    open.push(connection);
    expect(await peer.note("ready")).toMatchObject({ version });
    expect(await connection.identify(patient())).toMatchObject({
      vendor: "Foreign",
      model: "F-1",
      firmware: "1.2.1",
      more: { rsmp: version, controller: "7.7" },
    });
    const points = [
      point("plan", { status: "S0014", name: "status", as: "number" }),
      point("group4", { status: "S0001", name: "signalgroupstatus", of: "chars", item: 4 }),
      point("inUse", { aggregated: "se", bit: 6 }),
    ];
    const { answers } = await connection.read(points, { signal: patient() });
    expect(answers.map((answer) => (typeof answer === "object" ? answer.value : answer))).toEqual([
      3,
      "1",
      true,
    ]);

    const values: { index: number; answer: Answer }[] = [];
    const records: unknown[] = [];
    const stop = new AbortController();
    const done = connection.subscribe!({
      points,
      records: [
        {
          name: "door",
          address: addressSchema.parse({ alarm: "A0010" }),
          fields: [point("active", { field: "active" }), point("event", { field: "event" })],
        },
      ],
      sink: {
        alive: () => undefined,
        readings: (told) => void values.push(...told),
        record: (_, told, about) => void records.push([...told, about?.phase]),
        poll: () => undefined,
      },
      signal: stop.signal,
    });
    await connection.write!(
      point("newPlan", {
        command: "M0002",
        do: "setPlan",
        name: "timeplan",
        arguments: { status: "True", securityCode: { securityCode: "level2" } },
      }),
      2,
      patient(),
    );
    for (const alarmCommand of [
      "Acknowledge",
      "Suspend",
      "Resume",
      ...(version < "3.1.5" ? [] : ["Request"]),
    ])
      await connection.write!(point("alarm", { alarmCommand, alarm: "A0010" }), true, patient());
    for (let i = 0; i < 200 && (records.length < 2 || values.length < 5); i++) await sleep(10);
    expect(records).toEqual([
      [true, "Issue", "initial"],
      [true, "Acknowledge", "occurred"],
    ]);
    expect(values).toContainEqual({
      index: 0,
      answer: expect.objectContaining({ value: 9, past: true }) as Answer,
    });
    expect(values).toContainEqual({
      index: 0,
      answer: expect.objectContaining({ value: 3, status: "good" }) as Answer,
    });
    stop.abort();
    await done;
    expect(log).toEqual([]);
    // sOc came with 3.1.5.
    const subscribed = peer.said.find(({ type }) => type === "StatusSubscribe")!;
    for (const item of subscribed["sS"] as Message[]) expect("sOc" in item).toBe(version >= "3.1.5");
    expect(peer.said.filter(({ type }) => type === "MessageNotAck")).toEqual([]);
    expectLawful(peer.said, version >= "3.1.5");
  });
});

/** What a site must say to each of the foreign supervisor's steps. */
const expected: Record<string, unknown> = {
  read: {
    sS: [
      { sCI: "S0001", q: "recent" },
      { sCI: "S0014", q: "recent", s: "1" },
      { sCI: "S0095" },
      { sCI: "S0096" },
    ],
  },
  "no component": { sS: [{ s: null, q: "undefined" }] },
  "no status": "unknown status: S0999 x",
  "no name": "unknown status: S0001 x",
  unsubscribed: "MessageAck",
  plan: { rvs: [{ age: "recent", v: "True" }, { age: "recent" }, { age: "recent", v: "2" }] },
  "plan is": { sS: [{ s: "2" }] },
  incomplete: "argument of M0002 is missing: timeplan",
  phase: {
    rvs: [
      { v: null, age: "unknown" },
      { v: null, age: "unknown" },
    ],
  },
  Acknowledge: { aSp: "Acknowledge", ack: "Acknowledged" },
  Suspend: { aSp: "Suspend", sS: "Suspended" },
  Resume: { aSp: "Suspend", sS: "notSuspended" },
  "no alarm": "unknown alarm code: A0999",
  "unknown type": "MessageNotAck",
  again: "MessageNotAck",
};

describe.skipIf(!hasPython)("the pretend site and a foreign supervisor", () => {
  test.each(versions)("understand each other in %s", { timeout: 30_000 }, async (version) => {
    const profile = loadProfile("rsmp/tlc");
    const peer = new Peer("supervisor", "PRETEND", "TC1", version, "1.2.1");
    open.push(peer);
    const { port } = await peer.note("port");
    const identity = { vendor: "Kerb", model: "K", firmware: "1.2.1", serial: "1" };
    const simulator = await start({
      profile: profile.id,
      points: simulatedPoints(profile, identity),
      records: simulatedRecords(profile),
      settings: {
        host: "127.0.0.1",
        port,
        siteId: "PRETEND",
        component: "TC1",
        reconnect: 100,
        sxl: ["1.2.1"],
      },
      identity,
    });
    open.push(simulator);
    for (const name of ["doorOpen", "lampError", "detectorLogicError"]) simulator.tell?.(name);
    await peer.note("done");
    for (const [name, answer] of Object.entries(expected)) {
      const line = await peer.note(name);
      if (typeof answer === "string") expect(line.answer, name).toBe(answer);
      else expect(line.answer, name).toMatchObject(answer as Message);
    }
    expect(await peer.note("update")).toMatchObject({ answer: { type: "StatusUpdate" } });
    expect(simulator.counts.errors).toBeGreaterThan(3);
    expectLawful(peer.said, version >= "3.2.0");
  });
});

describe.skipIf(!hasSchemas)("the pretend site", () => {
  test("shows every status of the SXL as the schemas have it", async () => {
    const index = JSON.parse(readFileSync(`${schemaFolder}tlc/1.2.1/sxl_index.json`, "utf8")) as {
      statuses: Record<string, { required?: Message; optional?: Message }>;
      commands: Message;
      alarms: Message;
    };
    const { Controller } = await import("../../simulators/rsmp/controller.ts");
    const { alarms, commands, statuses } = await import("../../simulators/rsmp/sxl.ts");
    const identity = { vendor: "Kerb", model: "K", firmware: "1.2.1" };
    const controller = new Controller(
      { profile: "", points: [], settings: {}, identity },
      "TC1",
      "1.2.1",
      Date.now,
    );
    const { tlc } = validators();
    const on = { controller: "TC1", group: "TC1SG1", detector: "TC1DL1" };
    for (const [code, { required = {}, optional = {} }] of Object.entries(index.statuses)) {
      expect(statuses[code]?.names.toSorted(), code).toEqual(
        Object.keys({ ...required, ...optional }).toSorted(),
      );
      for (const n of Object.keys(required)) {
        const answer = controller.status(on[statuses[code]!.on], code, n);
        expect(answer, `${code} ${n}`).not.toBe("mismatch");
        const message = {
          mType: "rSMsg",
          type: "StatusResponse",
          sS: [{ sCI: code, n, ...(answer as object) }],
        };
        expect(tlc(message), `${JSON.stringify(message)}: ${JSON.stringify(tlc.errors)}`).toBe(true);
      }
    }
    expect(Object.keys(commands).toSorted()).toEqual(Object.keys(index.commands).toSorted());
    expect(Object.keys(alarms).toSorted()).toEqual(Object.keys(index.alarms).toSorted());
    // Of the codes that the SXL has no more, only this one is kept, for older versions.
    expect(Object.keys(statuses).filter((code) => index.statuses[code] === undefined)).toEqual(["S0018"]);
  });
});

const componentIds = (kind: string, count: number) =>
  Array.from({ length: count }, (_, i) => `KK+AG9998=001${kind}${String(i + 1).padStart(3, "0")}`);

describe("the gateway and pretend sites", () => {
  test("two sites on one port, from the call to the IOC's view", { timeout: 60_000 }, async () => {
    const bench = new Bench();
    open.push(bench);
    const port = await freePort();
    const site = (id: string) => ({
      id,
      driver: "rsmp",
      profile: "rsmp/tlc",
      host: "127.0.0.1",
      port,
      siteId: `SITE+${id}`,
      reconnect: "300ms",
    });
    const file = bench.site("gw-rsmp", [site("tlc-1"), site("tlc-2")]);
    await bench.simulate(file, 2);
    const gateway = await bench.run(file, "gw-rsmp");
    const { devices } = await gateway.until((status) =>
      status.devices.every(({ state }) => state === "online"),
    );
    expect(devices).toHaveLength(2);
    // A site has said who it is before it answers to the first subscription.
    await expect
      .poll(() => gateway.read("tlc-2", "plan"), { timeout: 10_000 })
      .toMatchObject({ value: 1, status: "good" });
    expect((await gateway.read("tlc-1", "signalState.group1")).value).toMatch(
      /^(red|red-yellow|green|yellow)$/,
    );
  });

  test(
    "a site with components of its own, and one that nobody has entered",
    { timeout: 60_000 },
    async () => {
      const bench = new Bench();
      open.push(bench);
      const port = await freePort();
      const place = { driver: "rsmp", host: "127.0.0.1", port, reconnect: "300ms" };
      const main = "KK+AG9998=001TC000";
      const parts = { signalGroups: componentIds("SG", 12), detectors: componentIds("DL", 3) };
      const known = { ...place, id: "tlc-1", profile: "rsmp/tlc", siteId: "RN+SI0001", ...parts };
      // The pretend site is called otherwise than its controller; kerb is not told, and hears it from the site.
      const pretend = bench.site("pretend", [
        { ...known, component: main },
        { ...place, id: "tlc-9", profile: "rsmp/tlc", siteId: "RN+SI0009" },
      ]);
      const file = bench.site("gw-rsmp", [known]);
      const gateway = await bench.run(file, "gw-rsmp");
      const tail = bench.start(kerb, "tail", "--site", file, "--kind", "device-status", "--json");
      await bench.simulate(pretend, 2);
      const { hosts } = await gateway.until(
        (status) =>
          status.devices.every(({ state }) => state === "online") &&
          status.hosts.some(({ strangers }) => strangers > 1),
      );
      expect(hosts[0]?.lastStranger).toBe("RN+SI0009");
      expect((await gateway.read("tlc-1", "signalState.group12")).status).toBe("good");
      expect((await gateway.read("tlc-1", "motorcycleCount.detector3")).code).not.toBe("rsmp-undefined");
      expect((await gateway.read("tlc-1", "native.signalGroupCount")).value).toBe(12);
      const event = await tail.line((line) => line.includes("unknown-device"));
      expect(JSON.parse(event)).toMatchObject({
        data: {
          device: "gw-rsmp",
          kind: "device-status",
          data: { state: "unknown-device", driver: "rsmp", name: "RN+SI0009" },
        },
      });
      expect(tail.lines.filter((line) => line.includes("unknown-device"))).toHaveLength(1);
      const warnings = gateway.log(40).map(({ msg }) => msg);
      expect(warnings.filter((text) => !text.startsWith("no uplinks"))).toEqual([
        expect.stringMatching(
          /refuses 127\.0\.0\.1: no enabled device .* has the site id RN\+SI0009; enter one/,
        ),
      ]);
    },
  );

  const openssl = programPath("openssl");
  test.skipIf(openssl === undefined)(
    "over TLS, with certificates on both sides",
    { timeout: 30_000 },
    async () => {
      const bench = new Bench();
      open.push(bench);
      const authority = new Authority(openssl!, bench.folder, "sites");
      const stranger = new Authority(openssl!, bench.folder, "strangers");
      const { cert, key } = authority.issue("kerb", ["IP:127.0.0.1"]);
      const other = stranger.issue("other", ["IP:127.0.0.1"]);
      const profile = loadProfile("rsmp/tlc");
      const port = await freePort();
      const place = { host: "127.0.0.1", port, siteId: "SAFE", sxl: ["1.2.1"], reconnect: 100 };
      const settings = settingsSchema.parse({
        ...place,
        tls: { cert, key, ca: authority.ca },
        timeout: "2s",
      });
      const identity = { vendor: "Kerb", model: "K", firmware: "1.2.1", serial: "1" };
      const pretend = (tls: object | undefined) =>
        start({
          profile: profile.id,
          points: simulatedPoints(profile, identity),
          settings: { ...place, ...(tls === undefined ? {} : { tls }) },
          identity,
        });
      const log: string[] = [];
      const context = { deviceId: "tlc", log: (_: string, text: string) => void log.push(text) };
      // Who has no certificate, or one of another authority, is not let in.
      for (const tls of [undefined, { ...other, ca: authority.ca }]) {
        const simulator = await pretend(tls);
        const late = AbortSignal.timeout(1000);
        await expect(driver.connect(settings, context, late)).rejects.toMatchObject({ code: "aborted" });
        await simulator.close();
      }
      expect(log.join("\n")).toMatch(/refuses a caller/);
      open.push(await pretend({ cert, key, ca: authority.ca }));
      const connection = await driver.connect(settings, context, patient());
      open.push(connection);
      expect(await connection.identify(patient())).toMatchObject({
        vendor: "Kerb",
        more: { site: "SAFE", certificate: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
      });
    },
  );
});

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import type { Command } from "commander";
import { describe, expect, it, vi } from "vitest";
import { helpInVietnamese } from "../gateway/cli/help.ts";
import { runVerb, Verbs } from "../gateway/cli/program.ts";
import { schemaFile, verbOutputs } from "../gateway/cli/output-schemas.ts";
import { verbs } from "../gateway/cli/verbs.ts";
import { languageIn, speak } from "../gateway/words.ts";
import { folder, kerb, kerbProgram, root, siteFile } from "./cli-rig.ts";
import { freePort } from "./ports.ts";

/**
 * What every verb prints: for people as snapshots in both languages (test/cli-output/, `npx vitest -u` writes them
 * anew), for machines held against the published schema of the verb.
 */

const languages = ["en", "vi"] as const;

interface Said {
  code: number;
  out: string;
  err: string;
}

/** A verb in this process, which has all loaded already: a real one takes a third of a second to start. */
async function run(...args: string[]): Promise<Said> {
  const said: Said = { code: 0, out: "", err: "" };
  const keep = (name: "out" | "err") => (text: string | Uint8Array) => {
    said[name] += String(text);
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation(keep("out")),
    vi.spyOn(process.stderr, "write").mockImplementation(keep("err")),
  ];
  speak(languageIn(args) ?? "en");
  try {
    said.code = await runVerb(args);
  } finally {
    speak(undefined);
    for (const spy of spies) spy.mockRestore();
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.removeAllListeners(name);
  }
  return said;
}

/** A check of how the machine is, with what belongs to it, and the count of such checks. */
const ofTheMachine =
  /^[✓!✗] (?:clock|disk|main loop|đồng hồ|đĩa|vòng lặp chính) .*\n(?: .*\n)*|^(?:findings|số vấn đề) .*\n?/gm;

/** What is another one in each run: figures, times, paths, the spaces that align them, and how the machine is. */
function steady(text: string): string {
  return `${text}\n`
    .replaceAll(folder, "FOLDER")
    .replaceAll(ofTheMachine, "")
    .replaceAll(/(?<=clock |đồng hồ )(?:set|not confirmed|wrong|đã chỉnh|chưa được xác nhận|sai)/g, "CLOCK")
    .replaceAll(/(?<![\p{L}\d_-])-?\d+(?:[ .,:/-]\d+)*(?![\p{L}\d_])/gu, "#")
    .replaceAll(/(?<=\S) {2,}/g, "  ");
}

function shown(args: readonly string[], { code, out, err }: Said): string {
  const complaint = err.trimEnd().replaceAll(/^/gm, "err  ");
  const parts = [out.trimEnd(), complaint === "err  " ? "" : complaint].filter((part) => part !== "");
  const end = code === 0 ? "" : `exit code ${code}\n`;
  return steady([`$ kerb ${args.join(" ")}`, ...parts].join("\n")) + end;
}

const snapshot = (name: string): string => join(root, "test", "cli-output", `${name}.txt`);

/** A verb's help and that of its inner verbs. */
function helps(command: Command): string[] {
  return [command.helpInformation(), ...command.commands.flatMap(helps)];
}

/** The help of a verb in both languages. */
async function helpOf(name: string): Promise<string> {
  const texts: string[] = [];
  for (const language of languages) {
    speak(language);
    const { program } = new Verbs({ code: 0 });
    if (language === "vi") await helpInVietnamese(program, ["--help"]);
    const command = program.commands.find((one) => one.name() === name);
    texts.push(...(command === undefined ? [] : helps(command)));
  }
  speak(undefined);
  return texts.join("\n");
}

describe("help", () => {
  it.each(verbs.map(({ name }) => name))("of %s", async (name) => {
    const text = await helpOf(name);
    expect(text).toContain("Cách dùng: ");
    await expect(text).toMatchFileSnapshot(snapshot(`help/${name}`));
  });

  it("of kerb", async () => {
    const texts = languages.map((language) => kerb(["--help", "--lang", language]).out);
    await expect(texts.join("\n")).toMatchFileSnapshot(snapshot("help/kerb"));
  });
});

/** A site whose meter and street lights are pretended, and whose second meter is dead. */
async function writeSite(brokerPort: number, publicKey: string): Promise<string> {
  const [meter, light, nobody] = [await freePort(), await freePort(), await freePort()];
  const more = `  - id: meter-02
    name: Công tơ trạm bơm
    driver: modbus
    profile: eastron/sdm630
    transport: { type: tcp, host: 127.0.0.1, port: ${nobody} }
    unit: 1
  - id: light-01
    name: Tủ chiếu sáng
    driver: modbus
    functions: [1, 2, 3, 4, 5, 6, 15, 16, 22]
    poll: 200ms
    transport: { type: tcp, host: 127.0.0.1, port: ${light} }
    points:
      dim: { label: { en: Dimming, vi: Mức sáng }, unit: "%", kind: number, fixed: 40, source: a trial, certainty: to-verify,
        address: { table: holding, register: 0 }, write: { limits: [0, 100], step: 5 } }
    write: { allow: [dim] }
commands:
  issuers: [{ id: ioc, key: "${publicKey}", roles: [lights] }]
  roles: { lights: { devices: [light-01] } }
  clock: holdover
`;
  const file = siteFile("output", { broker: brokerPort, meter, device: more });
  writeFileSync(
    file,
    readFileSync(file, "utf8").replace("commitAfter: 100ms", "commitAfter: 100ms, sizeMax: 64MiB"),
  );
  return file;
}

/** The published schemas, and which kinds of them have been seen. */
class Published {
  readonly #validators = new Map<string, ValidateFunction>();
  readonly seen = new Set<string>();
  readonly all: string[] = [];

  static async open(): Promise<Published> {
    const published = new Published();
    // Draft 7 as zod writes it has unions of types and members that only one branch requires.
    const ajv = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true });
    for (const [verb, kinds] of Object.entries(await verbOutputs())) {
      const schema = JSON.parse(readFileSync(join(root, schemaFile(verb)), "utf8")) as object;
      published.#validators.set(verb, ajv.compile(schema));
      published.all.push(...Object.keys(kinds).map((kind) => `${verb}: ${kind}`));
    }
    return published;
  }

  /** Holds each line that a verb printed against the verb's schema. */
  check(verb: string, out: string): void {
    const validate = this.#validators.get(verb);
    if (validate === undefined) throw new Error(`no schema of ${verb} is published`);
    const lines = out.split("\n").filter((line) => line !== "");
    expect(lines.length, verb).toBeGreaterThan(0);
    for (const line of lines) {
      const found = JSON.parse(line) as { kind: string; data?: unknown };
      const isValid = validate(found);
      expect.soft(isValid ? [] : validate.errors, `${verb}: ${line.slice(0, 600)}`).toEqual([]);
      this.seen.add("data" in found ? `${verb}: ${found.kind}` : `${verb}: failure`);
    }
  }
}

describe("a running gateway", () => {
  it("says the same to people in both languages, and to machines what the schemas say", async () => {
    const published = await Published.open();
    const key = join(folder, "ioc.pem");
    const json = async (verb: string, ...args: string[]): Promise<Said> => {
      const said = await run(...verb.split(" "), ...args, "--json");
      published.check(verb, said.out);
      return said;
    };
    const keygen = await json("command keygen", key);
    const { publicKey } = (JSON.parse(keygen.out) as { data: { publicKey: string } }).data;
    const broker = kerbProgram("simulate", "broker", "--port", "0", "--json");
    const brokerPort = Number(/:(\d+)"/.exec(await broker.line(/"broker"/))?.[1]);
    const site = await writeSite(brokerPort, publicKey);
    const at = ["--site", site];
    const pretended = ["meter-01", "light-01"];
    const devices = kerbProgram("simulate", ...at, "--device", ...pretended, "--json");
    const url = `mqtt://127.0.0.1:${brokerPort}`;
    const here = ["--listen", "127.0.0.1:0", "--database", join(folder, "receiver.db")];
    const centre = ["receive", "--broker", url, "--city", "test", "--ack-interval", "100ms", "--json"];
    const receiver = kerbProgram(...centre, ...here);
    await devices.line(/"simulate"/);
    const api = /"url":"([^"]+)"/.exec(await receiver.line(/"started"/))?.[1] ?? "";
    const gateway = kerbProgram("run", site);
    await Promise.all([
      gateway.line(/meter-01 is online/),
      gateway.line(/light-01 is online/),
      gateway.line(/meter-02.*ECONNREFUSED/),
      receiver.line(/cli-test/),
    ]);
    const tail = kerbProgram("tail", ...at, "--json");
    const watch = kerbProgram("read", "meter-01", "frequency", ...at, "--watch", "--json");
    const cassette = join(folder, "meter.cassette.yaml");
    const broken = join(folder, "broken.yaml");
    writeFileSync(broken, readFileSync(site, "utf8").replace("unit: 1", "unt: 1"));

    const machines: (() => Promise<unknown>)[] = [
      () => json("status", ...at),
      () => json("health", ...at),
      () => json("books", ...at),
      () => json("why", "meter-01", ...at),
      () => json("why", "meter-02", ...at),
      () => json("problems", ...at),
      () => json("doctor", ...at),
      () => json("read", "meter-01", "voltage.L1", "--raw", ...at),
      () => json("read", "meter-02", ...at),
      () => json("identify", "meter-01", ...at),
      () => json("browse", "meter-01", "--limit", "5", "--under", "input 0-19", ...at),
      () => json("check", site),
      () => json("check", broken),
      () => json("certificate", "--url", api, "--to", String(Date.now())),
      () => json("explain"),
      () => json("schema"),
      () => json("schema", "status"),
      () => json("completion", "bash"),
      () => json("profiles"),
      () => json("profiles", "generic/feeder-pillar-modbus"),
      () => json("profile lint", "eastron/sdm630"),
      () => json("simulate", "--list"),
      () => json("drivers"),
      () => json("version"),
      () => json("snapshot", "kerb-snapshot:x", "-o", join(folder, "x.jpg"), ...at),
      () => json("write", "light-01", "dim=45", "--yes", ...at).then(() => ordered()),
      () =>
        json(
          "profile new",
          "acme/x",
          "--from",
          "meter-01",
          "--limit",
          "3",
          "--out",
          join(folder, "x.yaml"),
          ...at,
        ),
      () =>
        json("record", "meter-01", "--for", "1s", "--out", cassette, ...at).then(() =>
          json("profile test", cassette),
        ),
    ];
    const ordered = async () => {
      const who = ["--broker", url, "--city", "test", "--key", key, "--issuer", "ioc", "--role", "lights"];
      await json("command", "cli-test", "light-01", "dim=60", ...who);
      await json("audit verify", ...at);
      await json("audit show", "--last", "3", ...at);
    };
    for (const machine of machines) await machine();
    await tail.line(/"event"/);
    await watch.line(/"read"/);
    await Promise.all([tail.stop(), watch.stop()]);
    published.check("tail", tail.lines.join("\n"));
    published.check("read", watch.lines.join("\n"));
    published.check("simulate", [...broker.lines, ...devices.lines].join("\n"));
    // The demo and pictures need more than this site; what signs certificates has a test of its own.
    const elsewhere = ["certificate: certificate-signatures", "demo: demo", "snapshot: snapshot"];
    expect.soft(published.all.filter((one) => !published.seen.has(one)).sort()).toEqual(elsewhere);

    for (const [name, args] of Object.entries(people(site, broken, at))) {
      const texts: string[] = [];
      for (const language of languages) texts.push(shown(args, await run(...args, "--lang", language)));
      await expect.soft(texts.join("\n")).toMatchFileSnapshot(snapshot(name));
    }
    expect(await gateway.stop()).toBe(0);
  }, 240_000);
});

/** What is shown to people, by the name of its snapshot. */
function people(site: string, broken: string, at: string[]): Record<string, string[]> {
  return {
    status: ["status", ...at],
    health: ["health", ...at],
    books: ["books", ...at],
    why: ["why", "meter-01", ...at],
    "why-dead": ["why", "meter-02", ...at],
    problems: ["problems", ...at],
    doctor: ["doctor", ...at],
    "doctor-broken": ["doctor", "--site", broken],
    read: ["read", "meter-01", "voltage.L1", "frequency", ...at],
    "read-dead": ["read", "meter-02", ...at],
    "read-no-device": ["read", "meter-1", ...at],
    "read-no-point": ["read", "meter-01", "voltage.L", ...at],
    "write-refused": ["write", "meter-01", "frequency=50", "--yes", ...at],
    "write-unasked": ["write", "light-01", "dim=60", ...at],
    check: ["check", site],
    "check-broken": ["check", broken],
    explain: ["explain", "KERB-DEV-SILENT"],
    "explain-unknown": ["explain", "KERB-DEV-SLIENT"],
    "no-site": ["status", "--site", "nowhere.yaml"],
    "no-receiver": ["certificate", "--url", "http://127.0.0.1:9"],
    "usage-verb": ["sttus"],
    "usage-option": ["read", "meter-01", "--wach"],
    "simulate-nothing": ["simulate"],
    "profile-unknown": ["profiles", "eastron/sdm63"],
  };
}

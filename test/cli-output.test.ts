import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { helpInVietnamese } from "../gateway/cli/help/help.ts";
import { Verbs } from "../gateway/cli/program.ts";
import { user } from "../gateway/cli/user.ts";
import { verbs } from "../gateway/cli/verbs.ts";
import { speak } from "../gateway/words.ts";
import { folder, kerb, kerbProgram, root, siteFile } from "./cli-rig.ts";
import { Published, run, type Said } from "./cli-said.ts";
import { freePort } from "./ports.ts";

/**
 * What every verb prints: for people as snapshots in both languages (test/cli-output/, `npx vitest -u` writes them
 * anew), for machines held against the published schema of the verb.
 */

const languages = ["en", "vi"] as const;

/** A check of how the machine is, with what belongs to it, and the count of such checks. */
const ofTheMachine =
  /^[✓!✗] (?:clock|disk|main loop|đồng hồ|đĩa|vòng lặp chính) .*\n(?: .*\n)*|^(?:findings|số vấn đề) .*\n?/gm;

/** What a report has of the machine. */
const openOfTheMachine = /^ [✗!] .* KERB-(?:CLOCK|GW|OUT)-[A-Z-]+\n/gm;

/** Times, hashes, and words that only the count of findings decides. */
const ofTheReport: [pattern: RegExp, shown: string][] = [
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME"],
  [/(?<=sha256 )[0-9a-f]+/g, "HASH"],
  [/(?:[0-9a-f]{4} ){7}[0-9a-f]{4}/g, "FINGERPRINT"],
  [/(?<=\d (?:blocking item|warning))s\b/g, ""],
];
/** Who runs this test, as the configuration's line and history say it. */
const byWhom = new RegExp(
  String.raw`(?<=\((?:apply|áp dụng|(?:rollback|quay lại) #), |# {2}# {2})${RegExp.escape(user())}\b`,
  "g",
);

/** What is another one in each run: figures, times, paths, the spaces that align them, and how the machine is. */
function steady(text: string): string {
  return ofTheReport
    .reduce((shownText, [pattern, mark]) => shownText.replaceAll(pattern, mark), `${text}\n`)
    .replaceAll(folder, "FOLDER")
    .replaceAll(ofTheMachine, "")
    .replaceAll(openOfTheMachine, "")
    .replaceAll(/(?<=\.before-)\d+/g, "#")
    .replaceAll(/(?<=clock |đồng hồ )(?:set|not confirmed|wrong|đã chỉnh|chưa được xác nhận|sai)/g, "CLOCK")
    .replaceAll(/(?<![\p{L}\d_-])-?\d+(?:[ .,:/-]\d+)*(?![\p{L}\d_])/gu, "#")
    .replaceAll(/(?<=\S) {2,}/g, "  ")
    .replaceAll(byWhom, "USER");
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
  const free = [await freePort(), await freePort(), await freePort()];
  // Who is found is shown in the order of the ports.
  const [meter = 0, light = 0, nobody = 0] = free.toSorted((a, b) => a - b);
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
twin: { allow: [polls], issuers: [ioc], watch: 1s }
`;
  const file = siteFile("output", { broker: brokerPort, meter, device: more });
  writeFileSync(
    file,
    readFileSync(file, "utf8").replace("commitAfter: 100ms", "commitAfter: 100ms, sizeMax: 64MiB"),
  );
  return file;
}

/** A site without devices that `kerb device` may write to, and what it is told of the meter and of nobody. */
async function emptySite(site: string) {
  const meter = /host: 127\.0\.0\.1, port: (\d+)/.exec(readFileSync(site, "utf8"))?.[1] ?? "";
  const own = join(folder, "empty");
  mkdirSync(join(own, "devices.d"), { recursive: true });
  const file = join(own, "gateway.yaml");
  const text = `version: 1
gateway: { id: empty, name: Tủ mới, city: test, state: ./state }
include: [devices.d/*.yaml]
`;
  writeFileSync(file, text);
  const at = ["--site", file];
  const as = ["--profile", "eastron/sdm630", "--id", "meter-09", ...at];
  return { at, meter: [`127.0.0.1:${meter}`, ...as], nobody: [`127.0.0.1:${await freePort()}`, ...as] };
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
    const page = join(folder, "report.html");
    writeFileSync(broken, readFileSync(site, "utf8").replace("unit: 1", "unt: 1"));

    const saved = join(folder, "box.kerb-backup");
    const anew = ["--site", join(folder, "anew", "gateway.yaml")];
    const empty = await emptySite(site);

    const machines: (() => Promise<unknown>)[] = [
      () => json("status", ...at),
      () => json("health", ...at),
      () => json("books", ...at),
      () => json("gaps", ...at),
      () => json("buffer", ...at),
      () => json("top", "--once", ...at),
      () => json("upstream test", ...at),
      () => json("support-bundle", "--list", ...at),
      () => json("backup", saved, ...at).then(() => json("restore", saved, "--yes", ...anew)),
      () => json("why", "meter-01", ...at),
      () => json("why", "meter-02", ...at),
      () => json("problems", ...at),
      () => json("doctor", ...at),
      () => json("read", "meter-01", "voltage.L1", "--raw", ...at),
      () => json("read", "meter-02", ...at),
      () => json("identify", "meter-01", ...at),
      () => json("discover", "127.0.0.1", "--driver", "modbus", ...at),
      () => json("browse", "meter-01", "--limit", "5", "--under", "input 0-19", ...at),
      () => json("report", ...at),
      () => json("report", ...at, "-o", page).then(() => json("report verify", page)),
      () => json("report key", ...at),
      () => json("device list", ...at),
      () => json("device show", "meter-01", ...at),
      () => json("device replace", "meter-01", "--yes", ...at),
      () => written(),
      () => json("config check", site),
      () => json("config check", broken),
      () => json("config migrate", site),
      () => json("config schema"),
      () => json("certificate", "--url", api, "--to", String(Date.now())),
      () => json("explain"),
      () => json("schema"),
      () => json("schema", "status"),
      () => json("completion", "bash"),
      () => json("profiles"),
      () => json("profiles", "generic/feeder-pillar-modbus"),
      () => json("profile lint", "eastron/sdm630"),
      () => json("simulate", "--list"),
      () => json("init", join(folder, "fresh", "gateway.yaml"), ...box),
      () => json("drivers"),
      () => json("version"),
      () => changed(),
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
    const written = async () => {
      await json("device add", ...empty.nobody, "--yes");
      await json("device add", ...empty.meter, "--yes");
      await json("device rename", "meter-09", "Công tơ", "--yes", ...empty.at);
      await json("device set", "meter-09", "timeout=2s", "--yes", ...empty.at);
      await json("device set", "meter-09", "transport.port=9", "--yes", ...empty.at);
      await json("device disable", "meter-09", "--yes", ...empty.at);
      await json("device enable", "meter-09", "--yes", ...empty.at);
      await json("device remove", "meter-09", "--yes", ...empty.at);
    };
    const ordered = async () => {
      const who = ["--broker", url, "--city", "test", "--key", key, "--issuer", "ioc", "--role", "lights"];
      await json("command", "cli-test", "light-01", "dim=60", ...who);
      await json("audit verify", ...at);
      await json("audit show", "--last", "3", ...at);
    };
    const rename = (name: string) =>
      writeFileSync(site, readFileSync(site, "utf8").replace(/(?<=id: meter-01\n    name: ).*/, name));
    const changed = async () => {
      rename("Công tơ A");
      await json("config diff", site);
      await json("config apply", "--watch", "100ms", "--confirm", "2m", ...at);
      await json("config confirm", ...at);
      await json("config rollback", "1", "--watch", "100ms", ...at);
      await json("config history", ...at);
    };
    for (const machine of machines) await machine();
    await tail.line(/"event"/);
    await watch.line(/"read"/);
    await Promise.all([tail.stop(), watch.stop()]);
    published.check("tail", tail.lines.join("\n"));
    published.check("read", watch.lines.join("\n"));
    published.check("simulate", [...broker.lines, ...devices.lines].join("\n"));
    for (const [name, args] of Object.entries({
      ...people({ site, broken, page }, at),
      ...ofBackups(saved, at, anew),
      ...ofDevices(at, empty),
    })) {
      const texts: string[] = [];
      for (const language of languages) texts.push(shown(args, await run(...args, "--lang", language)));
      await expect.soft(texts.join("\n")).toMatchFileSnapshot(snapshot(name));
    }
    for (const language of languages) {
      const args = ["init", join(folder, language, "gateway.yaml"), ...box];
      const text = shown(args, await run(...args, "--lang", language));
      const file = steady(readFileSync(args[1] ?? "", "utf8"));
      await expect.soft(`${text}\n${file}`).toMatchFileSnapshot(snapshot(`init-${language}`));
    }
    // Each language changes and takes back for itself: the second finds what the first has left.
    for (const [index, language] of languages.entries()) {
      rename(`Công tơ B${index}`);
      const texts: string[] = [];
      for (const args of changes(site, at, (index + 1) * 2))
        texts.push(shown(args, await run(...args, "--lang", language)));
      await expect.soft(texts.join("\n")).toMatchFileSnapshot(snapshot(`config-change-${language}`));
    }
    const wanted = join(folder, "want.yaml");
    writeFileSync(wanted, "polls: { meter-01: 300ms }\n");
    const there = ["--broker", url, "--city", "test", "--gateway", "cli-test"];
    await json("twin set", wanted, ...there, "--key", key, "--issuer", "an@ioc");
    await json("twin show", ...there);
    await json("twin show", ...at);
    await json("config check", site);
    await json("device show", "meter-01", ...at);
    await json("status", ...at);
    for (const [name, args] of Object.entries({
      "twin-show": ["twin", "show", ...at],
      "twin-config-check": ["config", "check", site],
      "twin-refused": ["twin", "set", wanted, ...there, "--key", key, "--issuer", "an@ioc", "--ver", "1"],
    })) {
      const texts: string[] = [];
      for (const language of languages) texts.push(shown(args, await run(...args, "--lang", language)));
      await expect.soft(texts.join("\n")).toMatchFileSnapshot(snapshot(name));
    }
    expect(await gateway.stop()).toBe(0);
    await json("buffer export", join(folder, "events.ndjson"), ...at);
    await json("buffer adopt", ...at);
    // The demo and pictures need more than this site; what signs certificates has a test of its own.
    const elsewhere = ["certificate: certificate-signatures", "demo: demo", "snapshot: snapshot"];
    expect.soft(published.all.filter((one) => !published.seen.has(one)).sort()).toEqual(elsewhere);
  }, 240_000);
});

/** A change from its plan to its end, as people follow it. `kept`: a generation that has run before. */
function changes(site: string, at: string[], kept: number): string[][] {
  const watch = ["--watch", "100ms", ...at];
  return [
    ["config", "diff", site],
    ["config", "apply", ...watch, "--confirm", "2m"],
    ["config", "apply", ...watch],
    ["status", ...at],
    ["config", "confirm", ...at],
    ["config", "confirm", ...at],
    ["config", "rollback", String(kept), ...watch],
    ["config", "diff", site],
    ["config", "history", ...at],
  ];
}

const box = ["--id", "box-01", "--city", "test"];

/** What is shown to people, by the name of its snapshot. */
function people(
  { site, broken, page }: Record<"site" | "broken" | "page", string>,
  at: string[],
): Record<string, string[]> {
  return {
    status: ["status", ...at],
    health: ["health", ...at],
    books: ["books", ...at],
    gaps: ["gaps", ...at],
    "gaps-no-device": ["gaps", "--device", "meter-1", ...at],
    "buffer-export-running": ["buffer", "export", "events.ndjson", ...at],
    upstream: ["upstream", "test", ...at],
    "upstream-no-uplink": ["upstream", "test", "--uplink", "iok", ...at],
    why: ["why", "meter-01", ...at],
    "why-dead": ["why", "meter-02", ...at],
    problems: ["problems", ...at],
    doctor: ["doctor", ...at],
    "doctor-broken": ["doctor", "--site", broken],
    read: ["read", "meter-01", "voltage.L1", "frequency", ...at],
    "read-dead": ["read", "meter-02", ...at],
    "read-no-device": ["read", "meter-1", ...at],
    "read-no-point": ["read", "meter-01", "voltage.L", ...at],
    report: ["report", ...at],
    "report-written": ["report", "-o", page, ...at],
    "report-verify": ["report", "verify", page],
    "report-form": ["report", "-o", "report.pdf", ...at],
    "report-none": ["report", "verify", site],
    "report-no-key": ["report", "verify", page, "--key", "zzz"],
    "write-refused": ["write", "meter-01", "frequency=50", "--yes", ...at],
    "write-unasked": ["write", "light-01", "dim=60", ...at],
    "config-check": ["config", "check", site],
    "config-check-broken": ["config", "check", broken],
    discover: ["discover", "127.0.0.1", "--driver", "modbus", "--why", ...at],
    "discover-last": ["discover", "--last", ...at],
    "discover-nobody": ["discover", "127.77.8.1", "--driver", "modbus", ...at],
    "discover-large": ["discover", "10.0.0.0/8"],
    "discover-units": ["discover", "10.0.0.1", "--units", "9-3"],
    explain: ["explain", "KERB-DEV-SILENT"],
    "explain-unknown": ["explain", "KERB-DEV-SLIENT"],
    "no-site": ["status", "--site", "nowhere.yaml"],
    "no-receiver": ["certificate", "--url", "http://127.0.0.1:9"],
    "usage-verb": ["sttus"],
    "usage-option": ["read", "meter-01", "--wach"],
    "simulate-nothing": ["simulate"],
    "profile-unknown": ["profiles", "eastron/sdm63"],
    "profiles-word": ["profiles", "bam"],
    "usage-begun": ["dev", "list"],
    "init-taken": ["init", site],
    "init-no-city": ["init", join(folder, "other", "gateway.yaml"), "--id", "box-01"],
    "init-in-the-clear": ["init", join(folder, "other.yaml"), ...box, "--broker", "mqtt://10.0.0.1"],
  };
}

/** The same of a box that goes into a file, and out of it to where it has been restored before. */
function ofBackups(saved: string, at: string[], anew: string[]): Record<string, string[]> {
  return {
    backup: ["backup", saved, ...at],
    "backup-unsealed": ["backup", saved, "--sealed", ...at],
    restore: ["restore", saved, "--force", "--yes", ...anew],
    "restore-taken": ["restore", saved, "--yes", ...anew],
    "restore-unasked": ["restore", saved, "--force", ...anew],
    "restore-nothing": ["restore", join(folder, "nowhere"), ...anew],
  };
}

/** The same of `kerb device`. */
function ofDevices(at: string[], empty: Awaited<ReturnType<typeof emptySite>>): Record<string, string[]> {
  return {
    "device-list": ["device", "list", ...at],
    "device-list-empty": ["device", "list", ...empty.at],
    "device-show": ["device", "show", "meter-01", ...at],
    "device-add": ["device", "add", ...empty.meter],
    "device-add-nobody": ["device", "add", ...empty.nobody],
    "device-add-what": ["device", "add", "10.0.0.4", ...empty.at],
    "device-add-no-driver": ["device", "add", "10.0.0.4", "--driver", "modbuss", ...empty.at],
    "device-rename-unasked": ["device", "rename", "light-01", "Đèn", ...at],
    "device-set-what": ["device", "set", "meter-01", ...at],
    "device-set-by-hand": ["device", "set", "light-01", "unit=7", "--yes", ...at],
    "device-disable-by-hand": ["device", "disable", "light-01", "--yes", ...at],
    "device-replace-mute": ["device", "replace", "light-01", "--yes", ...at],
  };
}

import { execFile } from "node:child_process";
import { lstatSync, readdirSync } from "node:fs";
import os from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { type ArchiveFile, pack } from "../../archive.ts";
import { loadSite } from "../../config/config.ts";
import { listDrivers } from "../../config/drivers.ts";
import { driverStage } from "../../profiles/driver-stage.ts";
import { ConfigError, describeError, exitCodes, shownFile } from "../../errors.ts";
import { healthChecks } from "../../health/health.ts";
import { knownGaps } from "../../outbox/known-gaps.ts";
import { Redaction, secretsFolderOf, siteFileValues, siteSecrets } from "../../config/site-secrets.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { type Box, findBox, isRunning, openStill } from "../box/box.ts";
import { bufferOf, byteSize } from "../box/buffer.ts";
import { writeGiven } from "../files.ts";
import { checkFolder } from "../out-file.ts";
import { printData, printLines } from "../output.ts";
import { askOnce, findSite } from "../site.ts";
import { supportWords } from "./support-words.ts";
import { table } from "../../text.ts";
import { versions } from "../version.ts";

export interface SupportOptions {
  site?: string;
  output?: string;
  list?: boolean;
  json?: boolean;
  lang?: "en" | "vi";
}

/** What `kerb support-bundle --json` gives. */
export interface SupportBundle {
  /** undefined: only listed. */
  file?: string;
  files: { name: string; bytes: number }[];
  /** What was hidden, how often. */
  redacted: Record<string, number>;
}

const logLines = 2000;
const logTimeoutMs = 10_000;
const sinceMs = 7 * 86_400_000;
const filesMax = 5000;

/** One part of the bundle: JSON, or a text. A part that cannot be had is told in its place. */
interface Part {
  name: string;
  /** It is a file of the site. */
  isOfSite?: boolean;
  make: () => unknown;
}

/** The last lines that the service has logged; a machine without journald has none. */
function journal(): Promise<string> {
  const args = ["--unit", "kerb", "--lines", String(logLines), "--no-pager", "--output", "short-iso"];
  return new Promise((resolve) => {
    execFile("journalctl", args, { timeout: logTimeoutMs, maxBuffer: 32 * 1024 ** 2 }, (error, stdout) =>
      resolve(
        stdout === "" ? `no log: ${error?.message ?? "journald has nothing of the unit kerb"}\n` : stdout,
      ),
    );
  });
}

function machine(): unknown {
  return {
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    upS: Math.round(os.uptime()),
    cpus: os.cpus().length,
    load: os.loadavg(),
    memoryBytes: os.totalmem(),
    memoryFreeBytes: os.freemem(),
    now: new Date().toISOString(),
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    addresses: Object.fromEntries(
      Object.entries(os.networkInterfaces()).map(([name, list]) => [name, list?.map(({ cidr }) => cidr)]),
    ),
  };
}

/** What lies in the state folder: names, sizes and times, never contents. */
function stateFiles({ folder }: Box): unknown {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted().slice(0, filesMax);
  return names.map((name) => {
    const { size, mtimeMs, mode } = lstatSync(join(folder, name));
    return { name, bytes: size, changed: new Date(mtimeMs).toISOString(), mode: (mode & 0o7777).toString(8) };
  });
}

/** What is wrong in the site's files; a line of a file itself may hold a secret, so only the place is told. */
async function configCheck(site: string): Promise<unknown> {
  try {
    const { warnings, devices, uplinks } = await loadSite(site);
    return {
      ok: true,
      devices: devices.length,
      uplinks: uplinks.length,
      warnings: warnings.map(withoutLine),
    };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { ok: false, count: error.count, mistakes: error.diagnostics.map(withoutLine) };
  }
}

function withoutLine(found: ConfigError["diagnostics"][number]): unknown {
  return { ...found, sourceLine: "" };
}

function configParts(site: string): Part[] {
  const near = dirname(site);
  return siteFileValues(site).map(({ file, value }) => {
    const name = relative(near, file);
    const inside = name.startsWith("..") ? basename(file) : name;
    return {
      name: `config/${inside.replace(/\.ya?ml$/, "")}.json`,
      isOfSite: true,
      make: () => value ?? { unreadable: "the file cannot be read, or is no YAML" },
    };
  });
}

function runningParts({ socket }: Box, status: GatewayStatus): Part[] {
  const ask = (verb: string, args = {}) => askOnce(socket, { verb, args });
  return [
    { name: "status.json", make: () => status },
    {
      name: "health.json",
      make: () =>
        healthChecks(status, Date.now()).map(({ seen, code, ...check }) => ({
          ...check,
          seen: seen.en,
          ...(code === undefined ? {} : describeError(code, "en")),
        })),
    },
    { name: "books.json", make: () => ask("books") },
    { name: "gaps.json", make: () => ask("gaps", { sinceMs: Date.now() - sinceMs }) },
    { name: "buffer.json", make: () => bufferOf(status) },
  ];
}

function stillParts(box: Box): Part[] {
  const read = <Result>(look: (queue: ReturnType<typeof openStill>) => Result): Result => {
    const queue = openStill(box);
    try {
      return look(queue);
    } finally {
      queue.close();
    }
  };
  return [
    { name: "buffer.json", make: () => read((queue) => queue.figures()) },
    {
      name: "gaps.json",
      make: () =>
        read((queue) => {
          const uplinks = queue.uplinks.map((name) => ({ name }));
          return knownGaps(queue, { gateway: queue.gateway, uplinks }, Date.now() - sinceMs);
        }),
    },
  ];
}

async function partsOf(box: Box, site: string): Promise<{ parts: Part[]; gateway: string }> {
  const status = (await isRunning(box))
    ? await askOnce<GatewayStatus>(box.socket, { verb: "status" }).catch(() => undefined)
    : undefined;
  const parts: Part[] = [
    { name: "versions.json", make: versions },
    { name: "machine.json", make: machine },
    ...(status === undefined ? stillParts(box) : runningParts(box, status)),
    { name: "drivers.json", make: () => listDrivers().map((name) => ({ name, ...driverStage(name) })) },
    { name: "state-files.json", make: () => stateFiles(box) },
    { name: "config-check.json", make: () => configCheck(site) },
    ...configParts(site),
    { name: "log.txt", make: journal },
  ];
  return { parts, gateway: status?.gateway.id ?? "box" };
}

async function made({ name, make, isOfSite = false }: Part, redaction: Redaction): Promise<ArchiveFile> {
  let found: unknown;
  try {
    found = await make();
  } catch (error) {
    found = { failed: (error as Error).message };
  }
  const bare = (value: unknown) => (isOfSite ? redaction.siteFile(value) : redaction.value(value));
  const text = typeof found === "string" ? redaction.text(found) : JSON.stringify(bare(found), undefined, 1);
  return { name, bytes: Buffer.from(text) };
}

const twoDigits = (number: number) => String(number).padStart(2, "0");

function stamp(at: Date): string {
  const day = [at.getFullYear(), twoDigits(at.getMonth() + 1), twoDigits(at.getDate())].join("");
  return `${day}-${twoDigits(at.getHours())}${twoDigits(at.getMinutes())}`;
}

/** Everything that a person needs who helps from afar, without a secret of the site: see `site-secrets.ts`. */
export async function collectSupport(
  site: string,
  box: Box,
): Promise<{ files: ArchiveFile[]; redacted: Record<string, number>; gateway: string }> {
  const redaction = new Redaction(siteSecrets(site));
  const { parts, gateway } = await partsOf(box, site);
  const files: ArchiveFile[] = [];
  // One after the other: what fails names itself, and a box in trouble is not asked for everything at once.
  for (const part of parts) files.push(await made(part, redaction));
  const redacted = Object.fromEntries(redaction.counts);
  const about = {
    made: new Date().toISOString(),
    gateway,
    files: files.map(({ name, bytes }) => ({ name, bytes: bytes.length })),
    redacted,
    leftOut: [`${basename(secretsFolderOf(site))}/`, "keys", "events", "pictures", "comments of site files"],
  };
  return {
    files: [{ name: "about.json", bytes: Buffer.from(JSON.stringify(about, undefined, 1)) }, ...files],
    redacted,
    gateway,
  };
}

/** `kerb support-bundle`: one archive to mail; `list` shows what would be in it and writes nothing. */
export async function supportBundle(options: SupportOptions): Promise<number> {
  const site = findSite(options.site);
  const box = findBox({ ...options, site });
  const words = supportWords[box.language];
  const { files, redacted, gateway } = await collectSupport(site, box);
  const list = files.map(({ name, bytes }) => ({ name, bytes: bytes.length }));
  const folder = `kerb-support-${gateway}`;
  const isPreview = options.list === true;
  const output = options.output ?? `${folder}-${stamp(new Date())}.tar.gz`;
  if (!isPreview) {
    checkFolder(output, box.language);
    const inside = files.map((file) => ({ ...file, name: `${folder}/${file.name}` }));
    writeGiven(output, pack(inside, Date.now()), { mode: 0o600 }, box.language);
  }
  const data: SupportBundle = { ...(isPreview ? {} : { file: output }), files: list, redacted };
  if (options.json === true) {
    printData("support-bundle", data);
    return exitCodes.ok;
  }
  const parts = Object.entries(words.parts).toSorted(([a], [b]) => b.length - a.length);
  const about = (name: string) => parts.find(([start]) => name.startsWith(start))?.[1] ?? "";
  const rows = list.map(({ name, bytes }) => [name, byteSize(bytes), about(name)]);
  const columns = [
    { title: words.file },
    { title: words.size, side: "right" as const },
    { title: words.what },
  ];
  const hidden = Object.values(redacted).reduce((sum, count) => sum + count, 0);
  printLines([
    ...table(columns, rows),
    words.hidden(hidden),
    isPreview ? words.preview : words.written(shownFile(output)),
  ]);
  return exitCodes.ok;
}

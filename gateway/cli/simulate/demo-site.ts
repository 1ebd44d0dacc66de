import Database from "better-sqlite3";
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseDocument } from "yaml";
import { loadSite, type Site } from "../../config/config.ts";
import { isRecord } from "../../config/path.ts";
import { exitCodes, shownFile } from "../../errors.ts";
import { languageOf } from "../../words.ts";
import { CommandError, usageError } from "../errors.ts";
import { foreignCommand } from "../read/foreign.ts";
import { simulateWords } from "./simulate-words.ts";
import { findSite } from "../site.ts";

/** The site that a demo runs, its place on this machine, and what is left of it in the end. */

const packageFolder = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
const workedSite = join(packageFolder, "config", "sites", "district.yaml");

export interface DemoSite {
  site: Site;
  brokerUrl: string;
  brokerPort: number;
  /** Removes what was only made for this run. */
  remove(): void;
}

function isWritable(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** A copy of the site in a temporary folder, with its state beside it. */
function copied(file: string): { file: string; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "kerb-demo-"));
  const copy = join(folder, basename(file));
  cpSync(dirname(file), folder, { recursive: true });
  const document = parseDocument(readFileSync(copy, "utf8"));
  document.setIn(["gateway", "state"], "state");
  writeFileSync(copy, document.toString());
  return { file: copy, folder };
}

function nothingToRemove(): void {}

/** Loads the demo's site; where its state folder cannot be written, a copy of it whose state can. */
export async function openDemoSite(given: string | undefined): Promise<DemoSite> {
  let site = await loadSite(given === undefined ? workedSite : findSite(given));
  let remove = nothingToRemove;
  if (!isWritable(site.gateway.stateFolder)) {
    const { file, folder } = copied(site.file);
    remove = () => rmSync(folder, { recursive: true, force: true });
    site = await loadSite(file);
  }
  const url = URL.parse(site.uplinks[0]?.url ?? "");
  if (
    url === null ||
    url.protocol !== "mqtt:" ||
    url.port === "" ||
    !["127.0.0.1", "localhost"].includes(url.hostname)
  ) {
    remove();
    const text = simulateWords[languageOf()];
    throw usageError(text.noUplink(shownFile(site.file)), text.noUplinkCure);
  }
  return { site, brokerUrl: url.href.replace(/\/$/, ""), brokerPort: Number(url.port), remove };
}

/** The TCP ports on this machine that a device's settings name: `host` and `port`, or `listen`. */
function portsIn(settings: unknown): number[] {
  if (!isRecord(settings)) return [];
  const { host, port, listen } = settings;
  const own = typeof port === "number" && typeof host === "string" ? [port] : [];
  const hook = typeof listen === "string" ? /:(\d+)$/.exec(listen)?.[1] : undefined;
  if (hook !== undefined) own.push(Number(hook));
  return [...own, ...Object.values(settings).flatMap(portsIn)];
}

/** Whether a port on 127.0.0.1 can be listened on. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** The given port if it is free, else 0: any. */
export async function freePort(port: number): Promise<number> {
  return (await isFree(port)) ? port : 0;
}

/** Throws the sentence with the cure when a port that the demo needs is taken. */
export async function checkPorts({ site, brokerPort }: DemoSite): Promise<void> {
  const text = simulateWords[languageOf()];
  const wanted = new Map<number, string>([[brokerPort, text.theBroker]]);
  for (const { id, settings } of site.devices) {
    for (const port of portsIn(settings)) if (!wanted.has(port)) wanted.set(port, text.pretend(id));
  }
  for (const [port, what] of wanted) {
    if (await isFree(port)) continue;
    throw new CommandError({
      code: "KERB-CLI-TAKEN",
      exitCode: exitCodes.unexpected,
      title: text.portTaken(String(port), what),
      hint: text.portTakenCure(String(port), shownFile(dirname(site.file))),
    });
  }
}

/** Accepted, delivered and dropped as the closed outbox has them written, and the rows that are really in it. */
export function closingBooks(
  stateFolder: string,
): Record<"accepted" | "delivered" | "kept" | "dropped", number> | undefined {
  const file = join(stateFolder, "outbox.db");
  if (!existsSync(file)) return undefined;
  const database = new Database(file);
  try {
    const query =
      "SELECT sum(accepted) AS accepted, sum(delivered) AS delivered, sum(dropped) AS dropped FROM books";
    const books = database.prepare(query).get() as Record<"accepted" | "delivered" | "dropped", number>;
    const { kept } = database.prepare("SELECT count(*) AS kept FROM event").get() as { kept: number };
    return { ...books, kept };
  } finally {
    database.close();
  }
}

/** How kerb is called in this folder: by npx in its package, else by the path of its launcher. */
function callOfKerb(): string {
  if (process.cwd() === packageFolder) return "npx kerb";
  const launcher = join(packageFolder, "gateway", "kerb");
  const near = relative(process.cwd(), launcher);
  return near.startsWith("..") ? launcher : near;
}

function isInstalled(program: string): boolean {
  return (process.env["PATH"] ?? "")
    .split(":")
    .some((folder) => folder !== "" && existsSync(join(folder, program)));
}

export type CommandPurpose = "tryRead" | "tryTool" | "tryRetained" | "tryTail" | "tryStatus" | "tryKill";

/** Commands that work from another terminal in this folder while the demo runs. */
export function commandsToTry(
  { site, brokerPort }: DemoSite,
  brokerPid: number | undefined,
): [string, CommandPurpose][] {
  const kerb = callOfKerb();
  let found: string | undefined;
  try {
    found = findSite(undefined);
  } catch {
    // Nothing is found in this folder: the commands must name the site.
  }
  const where = found === site.file ? "" : ` --site ${shownFile(site.file)}`;
  const [device] = site.devices;
  const tool = site.devices
    .map(({ driver, settings, points }) => foreignCommand(driver, settings, points))
    .find((command) => isInstalled(/mbpoll|socat|curl|mosquitto_sub/.exec(command ?? "")?.[0] ?? "-"));
  const list: [string | undefined, CommandPurpose][] = [
    [device && `${kerb} read ${device.id}${where}`, "tryRead"],
    [tool, "tryTool"],
    [`${kerb} tail${where}`, "tryTail"],
    [`${kerb} status${where}`, "tryStatus"],
    [
      isInstalled("mosquitto_sub")
        ? `mosquitto_sub -p ${brokerPort} -v -t '${site.gateway.city}/st/#'`
        : undefined,
      "tryRetained",
    ],
    [brokerPid === undefined ? undefined : `kill -9 ${brokerPid}`, "tryKill"],
  ];
  return list.filter((entry): entry is [string, CommandPurpose] => entry[0] !== undefined);
}

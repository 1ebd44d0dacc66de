import { createServer, type Server } from "node:net";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Discovered } from "../gateway/cli/discover/last-discovered.ts";
import { driverSchemas } from "../gateway/config/drivers.ts";
import {
  loadProfile,
  mergeSettings,
  simulatedPoints,
  simulatedRecords,
} from "../gateway/profiles/profiles.ts";
import type { Simulator, StartSimulator } from "../simulators/simulator.ts";
import { envelope, folder, Program, root } from "./cli-rig.ts";
import { Published } from "./cli-said.ts";

/** Pretend devices for `kerb discover`, in this process; `kerb` runs in another one. */

const open: { close(): Promise<unknown> }[] = [];

/** Closes everything that was opened. */
export async function closeAll(): Promise<void> {
  for (const one of open.splice(0)) await one.close();
}

export function kept<Thing extends { close(): Promise<unknown> }>(thing: Thing): Thing {
  open.push(thing);
  return thing;
}

/** A device of a profile, where the settings say. */
export async function pretend(
  profile: string,
  settings: Record<string, unknown>,
  identity: { vendor?: string; model?: string; firmware?: string; serial?: string } = {},
): Promise<Simulator> {
  const own = loadProfile(profile);
  const { start } = (await import(`../simulators/${own.driver}/index.ts`)) as { start: StartSimulator };
  const schemas = await driverSchemas(own.driver);
  return kept(
    await start({
      profile,
      points: simulatedPoints(own, identity),
      records: simulatedRecords(own),
      settings: schemas.settings.parse(mergeSettings(own.settings, settings)),
      identity: { vendor: own.vendor, model: own.model, ...identity },
      seed: 7,
      recordEveryMs: 0,
    }),
  );
}

/** Listens and counts who comes; answers with a text, where there is one. */
export async function counting(host: string, port: number, answer?: string) {
  const seen = { contacts: 0 };
  const server: Server = createServer((socket) => {
    seen.contacts++;
    socket.on("error", () => socket.destroy());
    socket.on("data", () => {
      if (answer === undefined) socket.destroy();
      else socket.end(answer);
    });
  }).listen(port, host);
  await once(server, "listening");
  kept({ close: async () => void server.close() });
  return seen;
}

export interface Looked {
  code: number | string;
  found: Discovered[];
  data: {
    interrupted: boolean;
    looked: string[];
    troubles: { driver: string; code: string; reason: string }[];
  };
  err: string;
}

/** Without a site of its own kerb would compare with the worked one, which takes its time. */
export const emptySite = join(folder, "empty.yaml");
writeFileSync(emptySite, "version: 1\ngateway: { id: empty-box, name: Empty, city: test, state: ./none }\n");
const environment = { PATH: process.env["PATH"] ?? "", HOME: folder, LANG: "C.UTF-8", KERB_SITE: emptySite };
const published = Published.open();

/** `kerb discover` in a process of its own, while this one plays the devices; `home`: where it keeps what it finds. */
export function discoverProgram(args: readonly string[], home = folder): Program {
  return new Program(join(root, "gateway", "kerb"), ["discover", "--json", ...args], {
    ...environment,
    HOME: home,
  });
}

export async function discover(...args: string[]): Promise<Looked> {
  return looked(discoverProgram(args));
}

/** What it has printed, which is as the published schema says. */
export async function looked(program: Program): Promise<Looked> {
  const code = await program.ended;
  const [line = ""] = program.lines;
  const err = program.errorLines.join("\n");
  if (line === "") throw new Error(`no output (${code}): ${err}`);
  (await published).check("discover", program.lines.join("\n"));
  const { data } = envelope(line) as unknown as { data: Looked["data"] & { found: Discovered[] } };
  return { code, found: data.found, data, err };
}

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect } from "vitest";
import { loadSite } from "./config.ts";
import { ConfigError } from "../errors.ts";
import { withoutSecrets } from "./secret-key.ts";

/** What the tests of site files share: a folder with profiles, site files made of pieces, and their mistakes. */

/** The files that are shipped. */
export const configFolder: string = fileURLToPath(new URL("../../config", import.meta.url));
export const folder: string = mkdtempSync(join(tmpdir(), "kerb-config-"));
export const profileFolder: string = join(folder, "profiles");

export function write(name: string, text: string): string {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

export const meter: string = `version: 1
vendor: Acme
model: Meter
class: energy-meter
driver: modbus
status: community
firmware: ">=1.0 <2.0"
sources: {}
settings: { order: CDAB, transport: { port: 1502 } }
poll: { normal: 5s }
identify: { serial: { table: holding, register: 8, type: text, length: 4 } }
points:
  voltage.L1: { address: { table: input, register: 0, type: float32 }, unit: V, limits: [0, 300] }
  power: { address: { table: input, register: 4, type: int16 }, unit: W, scaleFactor: power.scale }
  power.scale: { address: { table: input, register: 5, type: int16 } }
  energy: { address: { table: input, register: 6 }, unit: kW.h }
`;

beforeAll(() => {
  write("profiles/acme/meter.yaml", meter);
  write("profiles/acme/other.yaml", meter.replace("driver: modbus", "driver: snmp"));
  write("profiles/acme/address.yaml", meter.replace("register: 0", "registr: 0"));
  write("profiles/acme/identify.yaml", meter.replace("register: 8", "register: 80000"));
  write("profiles/acme/settings.yaml", meter.replace("order: CDAB", "order: 12"));
  write(
    "profiles/acme/broken.yaml",
    meter.replace("energy-meter", "energy-metre").replace("unit: W", "unit: Watt"),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

export const head: string = `version: 1
gateway: { id: box-01, name: Tủ 1, city: demo, state: ./state }
`;

export function device(more = "", ...changes: [string, string][]): string {
  const text = `${head}devices:
  - id: air-01
    driver: modbus
    profile: acme/meter
    transport: { type: tcp, host: 10.0.0.5 }
${more}`;
  return changes.reduce((changed, [from, to]) => changed.replace(from, to), text);
}

export function ownPoint(point: string): string {
  return device(`    points:\n      ${point}\n`, ["    profile: acme/meter\n", ""]);
}

export function uplink(more: string): string {
  return `${head}uplinks:\n  - id: ioc\n    type: mqtt\n${more}`;
}

/** What the mistakes of a file look like, without the folder of this test. */
export async function rendered(text: string, name = "bad.yaml"): Promise<string> {
  const file = write(name, text);
  const error = await loadSite(file, { profileFolder }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  return (error as ConfigError).render().replaceAll(`${folder}/`, "");
}

/** The heads of the mistakes, each checked to stand over its source line with the caret below the column. */
export async function heads(text: string): Promise<string[]> {
  const found: string[] = [];
  const lines = (await rendered(text)).split("\n");
  for (let at = 0; at < lines.length; at += 3) {
    const [, file = "", line = "", column = ""] =
      /^([^:]+):(\d+):(\d+) {2}error {2}/.exec(lines[at] ?? "") ?? [];
    const source = readFileSync(join(folder, file), "utf8").split("\n")[Number(line) - 1];
    expect(lines[at + 1]).toBe(`${line.padStart(5)} | ${withoutSecrets(source ?? "")}`);
    expect(lines[at + 2]).toBe(`      | ${" ".repeat(Number(column) - 1)}^`);
    found.push((lines[at] ?? "").replace("  error  ", "  "));
  }
  return found;
}

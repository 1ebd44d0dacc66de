import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { parse } from "yaml";
import type { Simulator } from "../simulator.ts";
import { start } from "./index.ts";

/** The pretend instruments before clients that share no code with driver or simulator: python and its libraries. */

const open: Simulator[] = [];
afterEach(async () => {
  for (const simulator of open.splice(0)) await simulator.close();
});

const python = "/usr/bin/python3";
function has(module: string): boolean {
  const isThere = spawnSync(python, ["-c", `import ${module}`], { stdio: "ignore" }).status === 0;
  if (!isThere) console.warn(`skipped: ${python} without ${module}`);
  return isThere;
}

async function simulated(id: string, station: string): Promise<Simulator> {
  const file = new URL(`../../firmware-profiles/${id}.yaml`, import.meta.url);
  const profile = parse(readFileSync(file, "utf8")) as {
    settings: Record<string, unknown>;
    points: Record<string, { address: unknown; scale?: number; typical?: [number, number] }>;
  };
  const points = Object.entries(profile.points).map(([name, { address, scale = 1, typical }]) => ({
    name,
    address,
    scale,
    offset: 0,
    ...(typical === undefined ? {} : { typical }),
  }));
  const transport = { type: "tcp", host: "127.0.0.1", port: 0 };
  const simulator = await start({
    profile: id,
    points,
    settings: { ...profile.settings, transport, station },
    identity: {},
  });
  open.push(simulator);
  return simulator;
}

/** What a python script says that is connected to the simulator (`s`, `f` to read lines from). */
async function saidBy(simulator: Simulator, script: string): Promise<string> {
  const port = /:(\d+)/.exec(simulator.address)?.[1] ?? "";
  const head = `import socket\ns = socket.create_connection(("127.0.0.1", ${port}), 5)\ns.settimeout(5)\nf = s.makefile("rb")\n`;
  const child = spawn(python, ["-c", head + script], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  for await (const chunk of child.stdout) said += String(chunk);
  return said.trim();
}

test.skipIf(!has("socket"))("Bayern-Hessen with block check", async () => {
  const simulator = await simulated("ecotech/serinus-10", "97");
  simulator.set("ozone", 42.13);
  const said = await saidBy(
    simulator,
    `from functools import reduce
s.sendall(b"\\x02DA097\\x0399"); s.sendall(b"\\x02DA097\\x033A")
b = b""
while len(b) < 2 or b.find(b"\\x03") != len(b) - 3: b += s.recv(100)
assert b"%02X" % reduce(lambda x, y: x ^ y, b[:-2]) == b[-2:]
print(b[1:-3].decode())`,
  );
  expect(said).toBe("MD01 097 +4213-02 40 00 001 000123");
  // The query with a wrong check was not answered.
  expect(simulator.counts.requests).toBe(1);
});

test.skipIf(!has("pynmea2"))("NMEA 0183, parsed by pynmea2", async () => {
  const simulator = await simulated("generic/nmea-weather", "");
  simulator.set("windSpeed", 12.5);
  simulator.set("pressure", 1013.2);
  const said = await saidBy(
    simulator,
    `import pynmea2
for i in range(2): pynmea2.parse(f.readline().decode(), check=True)
wind = pynmea2.parse(f.readline().decode(), check=True); air = pynmea2.parse(f.readline().decode(), check=True)
print(wind.sentence_type, wind.wind_speed, wind.wind_speed_units, wind.status, air.sentence_type, air.data[9])`,
  );
  expect(said.startsWith("MWV 12.5 M A XDR")).toBe(true);
});

test.skipIf(!has("crcmod"))("SDI-12 with checksum, checked by crcmod", async () => {
  const simulator = await simulated("generic/sdi12-level", "3");
  simulator.set("waterLevel", 1.25);
  const said = await saidBy(
    simulator,
    `import crcmod.predefined as p
s.sendall(b"3MC!"); print(f.readline().decode().strip()); print(f.readline().decode().strip())
s.sendall(b"3D0!"); b = f.readline().rstrip()
c = p.mkCrcFun("crc-16")(b[:-3])
assert b[-3:] == bytes([0x40 | c >> 12, 0x40 | c >> 6 & 63, 0x40 | c & 63])
print(b[:-3].decode())`,
  );
  expect(said.split("\n").map((line) => line.trim())).toEqual(["30011", "3", "3+1.25"]);
});

test.skipIf(!has("json"))("tickets of a weigh-in-motion station, one JSON object a line", async () => {
  const simulator = await simulated("generic/wim-json", "1");
  const said = saidBy(
    simulator,
    `import json
while True:
    o = json.loads(f.readline())
    if o["type"] == "ticket": break
print(o["plate"], o["gross"], len(o["axles"]), o["driver"]["name"] != "")`,
  );
  const telling = setInterval(
    () => simulator.tell?.("ticket", { plate: "51C-999.99", grossWeight: 30.5 }),
    100,
  );
  expect(await said).toBe("51C-999.99 30.5 3 True");
  clearInterval(telling);
});

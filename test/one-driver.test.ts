import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { Box } from "./box.ts";
import { driverNames, missingFiles } from "./contract/contract.ts";
import { deviceId, type OneDevice, openOneDevice } from "./one-device.ts";

/** A box for one driver pays for no other: it runs with that driver's code and packages, and no others are there. */

const root = fileURLToPath(new URL("..", import.meta.url));

/** The packages that the code in a folder names. */
function packagesOf(folder: string): string[] {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  const code = files.filter((file) => /\.(ts|mjs)$/.test(file) && !file.endsWith(".test.ts"));
  return code.flatMap((file) => {
    const text = readFileSync(join(root, folder, file), "utf8");
    return [...text.matchAll(/(?:\bfrom|\bimport|\brequire)[\s(]*"([a-z@][^":]*)"/g)].map(([, name = ""]) =>
      name
        .split("/")
        .slice(0, name.startsWith("@") ? 2 : 1)
        .join("/"),
    );
  });
}

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

class Gateway {
  log = "";
  readonly child: ChildProcess;

  constructor(box: Box, file: string) {
    const env = { PATH: process.env["PATH"] ?? "", HOME: box.folder, LANG: "C.UTF-8" };
    this.child = spawn(box.launcher, ["run", file], {
      cwd: box.folder,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on("data", (data: Buffer) => (this.log += data.toString()));
    cleanups.push(async () => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) return;
      this.child.kill("SIGTERM");
      await once(this.child, "close");
    });
  }

  /** The command lines of its children. */
  get children(): string[] {
    const { pid } = this.child;
    const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
    return pids.map((one) => readFileSync(`/proc/${one}/cmdline`, "utf8").replaceAll("\0", " "));
  }
}

async function start(driver: string, box: Box): Promise<{ gateway: Gateway; device: OneDevice }> {
  const device = await openOneDevice(driver, box.folder);
  cleanups.push(() => device.close());
  return { gateway: new Gateway(box, device.file), device };
}

const drivers = driverNames().filter((name) => missingFiles(name).length === 0);
/** What the gateway itself needs, named here: a driver's package that it came to import would be missed. */
const gatewayPackages = [
  "better-sqlite3",
  "commander",
  "leven",
  "mqtt",
  "mqtt-packet",
  "pino",
  "yaml",
  "zod",
];

test.each(drivers)("%s runs alone: one host, and no other driver's code or packages", async (driver) => {
  const box = new Box({
    drivers: [driver],
    packages: [...gatewayPackages, ...packagesOf(`drivers/${driver}`)],
  });
  cleanups.push(() => box.remove());
  const { gateway, device } = await start(driver, box);
  const isOnline = () => {
    device.tell();
    return gateway.log;
  };
  await expect.poll(isOnline, { timeout: 20_000 }).toContain(`${deviceId} is online`);
  expect(gateway.children).toEqual([expect.stringContaining("gateway/host/main.ts")]);
  expect(gateway.log).not.toContain("KERB-HOST-ENDED");
});

test("what a box lacks is missed", async () => {
  const driver = drivers[0] ?? "";
  const box = new Box({ drivers: [driver], packages: gatewayPackages });
  cleanups.push(() => box.remove());
  box.write(`drivers/${driver}/index.ts`, 'import "net-snmp";\nexport const driver = {};\n');
  const { gateway } = await start(driver, box);
  await expect.poll(() => gateway.log, { timeout: 20_000 }).toContain("KERB-HOST-ENDED");
});

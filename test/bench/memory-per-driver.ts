import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { driverNames, missingFiles } from "../contract/contract.ts";
import { deviceId, openOneDevice } from "../one-device.ts";
import { usageOf } from "./measure.ts";
import { Program, until } from "./processes.ts";

/** What the processes of a gateway take that has one device of one driver. */
export interface DriverMemory {
  driver: string;
  /** The driver's own process. */
  hostRssMb: number;
  hostPssMb: number;
  /** All processes of the gateway. */
  rssMb: number;
  pssMb: number;
  processes: number;
}

const launcher = fileURLToPath(new URL("../../gateway/kerb", import.meta.url));
const onlineMs = 30_000;

function hostOf(pid: number): number {
  const [host] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
  return Number(host);
}

async function memoryOf(driver: string, settleMs: number): Promise<DriverMemory> {
  const folder = mkdtempSync(join(tmpdir(), "kerb-memory-"));
  const device = await openOneDevice(driver, folder);
  const gateway = new Program("gateway", folder, launcher, ["run", device.file]);
  try {
    await until(`${driver} online`, onlineMs, () => {
      gateway.check();
      device.tell();
      return readFileSync(gateway.log, "utf8").includes(`${deviceId} is online`) || undefined;
    });
    await sleep(settleMs);
    const [all, host] = [usageOf(gateway.pid), usageOf(hostOf(gateway.pid))];
    return {
      driver,
      hostRssMb: host.rssBytes / 1e6,
      hostPssMb: host.pssBytes / 1e6,
      rssMb: all.rssBytes / 1e6,
      pssMb: all.pssBytes / 1e6,
      processes: all.rssBytesEach.length,
    };
  } finally {
    await gateway.stop();
    await device.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One after the other: every driver that has a contract table, each in a gateway of its own. */
export async function memoryPerDriver(settleMs: number): Promise<DriverMemory[]> {
  const found: DriverMemory[] = [];
  for (const driver of driverNames().filter((name) => missingFiles(name).length === 0))
    found.push(await memoryOf(driver, settleMs));
  return found;
}

const mb = (value: number): string => value.toFixed(0).padStart(4);

export function memoryLines(memories: readonly DriverMemory[]): string[] {
  return memories.map(
    ({ driver, hostRssMb, hostPssMb, rssMb, pssMb, processes }) =>
      `rss-per-driver  ${driver.padEnd(10)} host RSS ${mb(hostRssMb)} MB (PSS ${mb(hostPssMb)}), gateway in all ${mb(rssMb)} MB (PSS ${mb(pssMb)}) in ${processes} processes`,
  );
}

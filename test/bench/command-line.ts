import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { deviceId, openOneDevice } from "../one-device.ts";
import { Program, until } from "./processes.ts";
import type { Target } from "./report.ts";

/** What a person waits for: the help, and the status of a running gateway. */
export interface CommandLineFigures {
  /** CPU time of a start of Node that does nothing, of `kerb --help` and of `kerb status`, ms. */
  nodeCpuMs: number;
  helpCpuMs: number;
  statusCpuMs: number;
  /** Median of the times from the start of `kerb status` to its end, ms. */
  statusMs: number;
}

const launcher = fileURLToPath(new URL("../../gateway/kerb", import.meta.url));
const cpuRuns = 12;
const timedRuns = 7;
const helpTimesMax = 2;
const statusMsMax = 300;

/** CPU time of one run, with all processes that it starts: bash adds up what its children took. */
function cpuMs(command: string): number {
  const script = `for i in $(seq ${cpuRuns}); do ${command} > /dev/null || exit; done; times`;
  const { status, stdout, stderr } = spawnSync("bash", ["-c", script], { encoding: "utf8" });
  const children = stdout.trim().split("\n").at(-1) ?? "";
  const [user = Number.NaN, system = Number.NaN] = [...children.matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, seconds]) => Number(minutes) * 60_000 + Number(seconds) * 1000,
  );
  if (status !== 0) throw new Error(`${command} failed: ${stderr}`);
  return (user + system) / cpuRuns;
}

/** The median of the whole times of some runs. */
function wallMs(args: readonly string[]): number {
  const times = Array.from({ length: timedRuns }, () => {
    const startedMs = performance.now();
    const { status, stderr } = spawnSync(launcher, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`kerb ${args.join(" ")} failed: ${stderr}`);
    return performance.now() - startedMs;
  });
  return times.toSorted((a, b) => a - b)[Math.floor(timedRuns / 2)] ?? Number.NaN;
}

/** Measures both, beside a gateway of one device; about 5 s on a quiet machine. */
export async function commandLine(): Promise<CommandLineFigures> {
  const folder = mkdtempSync(join(tmpdir(), "kerb-line-"));
  const empty = join(folder, "empty.mjs");
  writeFileSync(empty, "");
  const device = await openOneDevice("modbus", folder);
  const gateway = new Program("gateway", folder, launcher, ["run", device.file]);
  try {
    await until("modbus online", 30_000, () => {
      gateway.check();
      device.tell();
      return readFileSync(gateway.log, "utf8").includes(`${deviceId} is online`) || undefined;
    });
    // The first start of each fills the cache of compiled code.
    const status = ["status", "--site", device.file];
    wallMs(status);
    return {
      nodeCpuMs: cpuMs(`"${process.execPath}" "${empty}"`),
      helpCpuMs: cpuMs(`"${launcher}" --help`),
      statusCpuMs: cpuMs(`"${launcher}" status --site "${device.file}"`),
      statusMs: wallMs(status),
    };
  } finally {
    await gateway.stop();
    await device.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The promises about them. */
export function commandLineTargets({ nodeCpuMs, helpCpuMs, statusMs }: CommandLineFigures): Target[] {
  const times = helpCpuMs / nodeCpuMs;
  const workload = "command-line";
  return [
    {
      workload,
      text: `CPU of kerb --help ≤ ${helpTimesMax} × a bare start of Node`,
      shown: `${times.toFixed(2)} × ${nodeCpuMs.toFixed(0)} ms`,
      holds: times <= helpTimesMax,
      kind: "figure",
    },
    {
      workload,
      text: `kerb status ≤ ${statusMsMax} ms`,
      shown: `${statusMs.toFixed(0)} ms`,
      holds: statusMs <= statusMsMax,
      kind: "figure",
    },
  ];
}

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

/** What a trial needs of the machine; a machine without it skips the trial and says so. */
export type Need =
  | "root"
  /** Loop devices with ext4. */
  | "loop"
  | "mount-namespace"
  | "net-namespace"
  | "faketime"
  | "gcc"
  | "strace"
  | "mosquitto"
  | "python"
  | "socat"
  | "systemd-notify";

/** What a trial found: how often it was tried, the figure to hold against the pass line, and the verdict. */
export interface Outcome {
  trials: number;
  figure: string;
  passed: boolean;
}

/** How much is tried: `short` in CI (seconds each), `full` by hand. */
export type Scale = "short" | "full";

/**
 * One row of the reliability catalogue. Each file `test/reliability/*.trial.ts` exports `trials: Trial[]`. A trial
 * runs in a process of its own, one that needs "mount-namespace" in a private one: what it mounts goes with it.
 * It ends what it starts and works in folders of its own.
 */
export interface Trial {
  /** "R1" to "R36"; a row of the catalogue that takes several trials adds a letter, "R16a". */
  id: string;
  name: string;
  /** The pass line in words. */
  passLine: string;
  needs: Need[];
  /** Holds times against its pass line: runs alone. All others run two at a time. */
  exclusive?: boolean;
  run(scale: Scale, say: (progress: string) => void): Promise<Outcome>;
}

/** Why this machine cannot serve a need; undefined when it can. */
export function missing(need: Need): string | undefined {
  return tests[need]() ? undefined : reasons[need];
}

const faketimeLibrary = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

const tests: Record<Need, () => boolean> = {
  root: () => process.getuid?.() === 0,
  loop: () => succeeds("losetup", ["--find"]) && succeeds("mkfs.ext4", ["-V"]),
  "mount-namespace": () => succeeds("unshare", ["-m", "true"]),
  "net-namespace": () =>
    succeeds("unshare", ["-n", "sh", "-c", "ip link set lo up && tc qdisc add dev lo root blackhole"]),
  faketime: () => existsSync(faketimeLibrary) || existsSync(faketimeLibrary.replace("x86_64", "aarch64")),
  gcc: () => succeeds("gcc", ["--version"]),
  strace: () => succeeds("strace", ["true"]),
  mosquitto: () =>
    succeeds("mosquitto", ["-h"], [0, 1, 3]) || succeeds("/usr/sbin/mosquitto", ["-h"], [0, 1, 3]),
  python: () => succeeds("python3", ["-c", "import fcntl"]),
  socat: () => succeeds("socat", ["-V"]),
  "systemd-notify": () => succeeds("systemd-notify", ["--version"]),
};

const reasons: Record<Need, string> = {
  root: "needs root",
  loop: "needs loop devices and mkfs.ext4",
  "mount-namespace": "needs mount namespaces",
  "net-namespace": "needs network namespaces and tc",
  faketime: "needs libfaketime",
  gcc: "needs gcc",
  strace: "needs strace",
  mosquitto: "needs mosquitto",
  python: "needs python3",
  socat: "needs socat",
  "systemd-notify": "needs systemd-notify (Debian package systemd)",
};

function succeeds(program: string, args: string[], statuses = [0]): boolean {
  try {
    execFileSync(program, args, { stdio: "ignore" });
    return true;
  } catch (error) {
    return statuses.includes((error as { status?: number }).status ?? -1);
  }
}

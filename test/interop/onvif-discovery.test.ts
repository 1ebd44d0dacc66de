import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

/** WS-Discovery with multicast, in a network namespace that reaches nobody. */

const script = fileURLToPath(new URL("onvif-discovery.ts", import.meta.url));
const hasNamespace = spawnSync("unshare", ["-n", "true"], { stdio: "ignore" }).status === 0;
const hasUtil = spawnSync("onvif-util", ["-h"], { stdio: "ignore" }).error === undefined;
if (!hasNamespace) console.warn("skipped: a network namespace of its own needs root and unshare");
if (!hasUtil)
  console.warn("skipped: onvif-util is not installed, so no foreign program looks for the camera");

it.skipIf(!hasNamespace)(
  "finds the camera, believes no liar, contacts nobody",
  async () => {
    const setUp = "ip link set lo up multicast on && ip route add 239.0.0.0/8 dev lo";
    const child = spawn("unshare", [
      "-n",
      "sh",
      "-c",
      `${setUp} && exec "$0" "$1"`,
      process.execPath,
      script,
    ]);
    let out = "";
    let errors = "";
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
    await once(child, "exit");
    expect(errors).toBe("");
    const { found, contacts, requests, foreign } = JSON.parse(out) as Record<string, unknown>;
    expect(found).toEqual([{ host: "127.0.0.1", port: 8000, vendor: "Cong vien", model: "K-1" }]);
    expect([contacts, requests]).toEqual([0, 0]);
    if (!hasUtil) return;
    // A foreign program finds the pretend camera too, logs in by token and reads who it is.
    expect(foreign).toContain("successfully connected");
    expect(foreign).toContain("A0042");
    expect(foreign).toContain("Profile_1");
  },
  60_000,
);

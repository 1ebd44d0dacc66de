import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { envelope, folder, kerbProgram } from "./cli-rig.ts";
import { freePort } from "./ports.ts";

/** Plan and mode asked of a pretend traffic-light controller by the command line, and seen at the controller. */

const own = join(folder, "rsmp-requests");
const file = join(own, "gateway.yaml");

async function run(...args: string[]): Promise<Record<string, unknown>> {
  const program = kerbProgram(...args, "--site", file, "--json");
  await program.ended;
  return envelope(program.lines.join("\n")).data;
}

async function shown(...points: string[]): Promise<unknown[]> {
  const { readings } = await run("read", "tlc-01", ...points);
  return (readings as { value: unknown }[]).map(({ value }) => value);
}

beforeAll(async () => {
  const device = {
    id: "tlc-01",
    driver: "rsmp",
    profile: "rsmp/tlc",
    host: "127.0.0.1",
    port: await freePort(),
    siteId: "KERB+001TC",
    // Who has chosen a plan is told since 1.1.
    sxl: ["1.2.1"],
    reconnect: "200ms",
    securityCodes: { level2: "2468" },
    write: { allow: ["plan.requested", "mode.requested"] },
  };
  const site = {
    version: 1,
    gateway: { id: "requests-01", name: "Ngã tư", city: "test", state: "./state" },
    devices: [device],
  };
  mkdirSync(own, { recursive: true });
  writeFileSync(file, JSON.stringify(site));
  kerbProgram("simulate", "--site", file);
  await kerbProgram("run", file).line(/tlc-01 is online/);
});

it("is asked for a plan and a mode, shows both, and has its own again when the lease is over", async () => {
  const points = ["plan", "plan.source", "plan.requested", "mode.requested", "flashing"];
  expect(await shown(...points)).toEqual([1, "calendar-clock", 0, "normal", false]);

  for (const [wanted, during, after] of [
    ["plan.requested=3", [3, "forced", 3, "normal", false], [1, "calendar-clock", 0, "normal", false]],
    [
      "mode.requested=yellow-flash",
      [1, "calendar-clock", 0, "yellow-flash", true],
      [1, "calendar-clock", 0, "normal", false],
    ],
  ] as const) {
    // It follows the lease to its end.
    const write = kerbProgram("write", "tlc-01", wanted, "--for", "4s", "--yes", "--site", file, "--json");
    await expect.poll(() => shown(...points), { timeout: 20_000 }).toEqual(during);
    await write.ended;
    // Armed, executed, returned, and what has become of it.
    const states = write.lines.flatMap((line) => envelope(line).data["state"] ?? []);
    expect(states).toEqual(["done", "accepted", "running", "done", "done", "done"]);
    await expect.poll(() => shown(...points), { timeout: 20_000 }).toEqual(after);
  }
}, 90_000);

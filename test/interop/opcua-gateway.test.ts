import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { Bench } from "./processes.ts";
import { freePort } from "../ports.ts";

/** OPC UA through kerb's own processes: `kerb simulate` in one, `kerb run` with its host in others. */

const benches: Bench[] = [];
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.close();
});

test(
  "a gateway reads a signal controller and a scale, also after the servers have hung and died",
  { timeout: 120_000 },
  async () => {
    const bench = new Bench();
    benches.push(bench);
    const [first, second] = [await freePort(), await freePort()];
    const quick = {
      trust: "first-use",
      host: "127.0.0.1",
      timeout: "1s",
      publishing: "200ms",
      keepAlive: "500ms",
    };
    const devices = [
      { id: "tsc", driver: "opcua", profile: "opcua/signal-controller", port: first, ...quick },
      { id: "scale", driver: "opcua", profile: "opc-foundation/vehicle-scale", port: second, ...quick },
    ];
    const file = bench.site("gw-opcua", devices);
    const servers = bench.start(join(import.meta.dirname, "../../gateway/kerb"), "simulate", "--site", file);
    await servers.linesOf((line) => line.includes(" at 127.0.0.1:"), 2);
    const gateway = await bench.run(file, "gw-opcua");
    const areOnline = (): Promise<unknown> =>
      gateway.until((status) => status.devices.every(({ state }) => state === "online"), 40_000);
    await areOnline();
    expect(await gateway.read("tsc", "cycle.second")).toMatchObject({ unit: "s", status: "good" });
    expect(await gateway.read("scale", "weight.gross")).toMatchObject({ unit: "kg", status: "good" });
    expect(existsSync(join(bench.folder, "state-gw-opcua/drivers/opcua/own.pem"))).toBe(true);
    await sleep(3500);
    const { hosts } = await gateway.status();
    console.log(`host with only OPC UA, two devices: ${Math.round(hosts[0]!.rssBytes / 1e6)} MB RSS`);
    expect(hosts[0]!.rssBytes).toBeLessThan(220e6);

    // A server that hangs: its port is open and nobody answers.
    servers.child.kill("SIGSTOP");
    await gateway.until((status) => status.devices.every(({ state }) => state === "lost"), 20_000);
    servers.child.kill("SIGCONT");
    await areOnline();

    servers.child.kill("SIGKILL");
    await gateway.until((status) => status.devices.every(({ state }) => state === "lost"), 20_000);
    await bench.simulate(file, 2);
    // Back with the certificate that was pinned, as a real server is.
    const status = await gateway.until(
      ({ devices: all }) => all.every(({ state }) => state === "online"),
      40_000,
    );
    expect(status.hosts[0]!.restarts).toBe(0);
  },
);

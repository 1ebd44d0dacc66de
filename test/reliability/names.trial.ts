import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { onRig } from "./link-rig.ts";
import type { Outcome, Trial } from "./trial.ts";

/** R21: the name service falls silent; the last good address is enough, also after a restart. */

const nameServer = "127.0.0.77";
const host = "broker.trial.invalid";

async function silentNames(): Promise<Outcome> {
  const silent = createSocket("udp4");
  silent.bind(53, nameServer);
  await once(silent, "listening");
  let asked = 0;
  silent.on("message", () => asked++);
  try {
    return await onRig(async (rig) => {
      await rig.broker();
      rig.receiver();
      const hosts = join(rig.folder, "hosts");
      const resolver = join(rig.folder, "resolv.conf");
      const local = readFileSync("/etc/hosts", "utf8");
      writeFileSync(hosts, `${local}\n127.0.0.1 ${host}\n`);
      writeFileSync(resolver, `nameserver ${nameServer}\n`);
      const mounts = `mount --bind ${hosts} /etc/hosts && mount --bind ${resolver} /etc/resolv.conf`;
      rig.wrapper = ["unshare", "-m", "sh", "-c", `${mounts} && exec "$@"`, "sh"];
      const loop = join(rig.folder, "loop");
      const preload = new URL("loop-delay.ts", import.meta.url).href;
      const environment = { NODE_OPTIONS: `--import ${preload}`, KERB_LOOP_DELAY: loop };
      const uplink = { url: `mqtt://${host}:${rig.brokerPort}` };
      const proxied = async (): Promise<number> => {
        await rig.kill("mosquitto");
        await rig.broker();
        return rig.resumed(40_000);
      };
      await rig.gateway(uplink, "state", environment);
      await rig.flowing();
      writeFileSync(hosts, local);
      const againMs = await proxied();
      const pid = (await rig.status())?.gateway.pid;
      await sleep(4000);
      const p99 = Number(readFileSync(`${loop}.${pid}`, "utf8"));
      await rig.kill("state");
      const startMs = Date.now();
      await rig.gateway(uplink, "state", environment);
      await rig.wait("the connection", 40_000, ({ uplinks }) => uplinks[0]?.state === "connected");
      const restartMs = Date.now() - startMs;
      return {
        trials: 2,
        figure: `in custody ${(againMs / 1000).toFixed(1)} s after the broker was back, connected ${(restartMs / 1000).toFixed(1)} s after a restart of the gateway, ${asked} questions unanswered, loop p99 ${p99.toFixed(1)} ms`,
        passed: againMs <= 10_000 && restartMs <= 10_000 && asked > 0 && p99 < 20,
      };
    });
  } finally {
    silent.close();
  }
}

export const trials: Trial[] = [
  {
    id: "R21",
    name: "name service silent",
    passLine: "last good address used again, also after a restart, ≤ 10 s; loop p99 < 20 ms",
    needs: ["root", "mount-namespace", "mosquitto"],
    run: silentNames,
  },
];

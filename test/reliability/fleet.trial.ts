import { cpSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MqttLink } from "../../gateway/mqtt/link.ts";
import { spreadOf } from "../../gateway/mqtt/reconnect.ts";
import { until } from "../bench/processes.ts";
import { arrivals, quantile } from "./arrivals.ts";
import { onRig } from "./link-rig.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/** R18 and R25: many gateways at one broker, and two that think they are the same one. */

const connectLine = /^(\d+): New client connected from .* as (\S+) /;

/** 500 links of the product (what `MqttUplink` connects with) lose their broker and get it back. */
async function storm(scale: Scale): Promise<Outcome> {
  const count = 500;
  return onRig(async (rig) => {
    await rig.broker(["connection_messages true", "log_type notice"]);
    const openedMs = new Map<number, number>();
    const links = Array.from({ length: count }, (_, i) => {
      return new MqttLink(
        {
          url: `mqtt://127.0.0.1:${rig.brokerPort}`,
          protocol: 5,
          clientId: `fleet-${i}`,
          keepaliveMs: 60_000,
          retryFirstMs: 1000,
          retryMaxMs: 60_000,
          spreadMs: () => spreadOf(count),
        },
        {
          prepare: () => ({}),
          opened: () => openedMs.set(i, Date.now()),
          message() {},
          ended: () => openedMs.delete(i),
        },
      );
    });
    try {
      // The way there is of no interest, and none has lost anything yet.
      for (const link of links) link.start();
      await until("500 sessions", 30_000, () => openedMs.size === count || undefined);
      const rounds = scale === "short" ? 1 : 3;
      let worstSpread = Infinity;
      let worstSecond = 0;
      for (let round = 0; round < rounds; round++) {
        await rig.kill("mosquitto", round % 2 === 0 ? "SIGKILL" : "SIGTERM");
        await until("all to notice", 10_000, () => openedMs.size === 0 || undefined);
        await sleep(1500);
        const lines = rig.log("mosquitto").length;
        await rig.broker();
        await until("500 sessions again", 60_000, () => openedMs.size === count || undefined);
        const times = rig
          .log("mosquitto")
          .slice(lines)
          .split("\n")
          .map((line) => connectLine.exec(line))
          .flatMap((found) => (found?.[2]?.startsWith("fleet-") === true ? [Number(found[1])] : []));
        worstSpread = Math.min(worstSpread, quantile(times, 1) - quantile(times, 0));
        const perSecond = Map.groupBy(times, (time) => time);
        worstSecond = Math.max(worstSecond, ...[...perSecond.values()].map((one) => one.length));
        if (times.length !== count) throw new Error(`the broker saw ${times.length} connects`);
      }
      return {
        trials: rounds,
        figure: `${count} connects over ${worstSpread} s by the broker's log, ${worstSecond} in the busiest second`,
        passed: worstSpread >= 30 && worstSecond <= 60,
      };
    } finally {
      for (const link of links) link.stop();
    }
  });
}

async function clone(protocol: 5 | "3.1.1", scale: Scale): Promise<Outcome> {
  return onRig(async (rig) => {
    await rig.broker(["connection_messages true", "log_type notice"]);
    rig.receiver();
    const uplink = { url: `mqtt://127.0.0.1:${rig.brokerPort}`, protocol };
    await rig.gateway(uplink);
    await rig.flowing();
    await rig.kill("state", "SIGTERM");
    cpSync(join(rig.folder, "state"), join(rig.folder, "copy"), { recursive: true });
    await rig.gateway(uplink);
    await rig.wait("the first one", 20_000, ({ uplinks }) => uplinks[0]?.state === "connected");
    await sleep(2000);
    const before = rig.log("mosquitto").length;
    const startMs = Date.now();
    await rig.gateway(uplink, "copy");
    const alarmed = (): boolean =>
      ["state", "copy"].some((name) => rig.log(name).includes("KERB-UP-DUPLICATE"));
    await until("the alarm", 60_000, () => alarmed() || undefined);
    const alarmMs = Date.now() - startMs;
    await sleep(scale === "short" ? 12_000 : 120_000);
    // Not on the guess of a broker that hangs up, which would be tried again after a minute.
    const isSeen = ["state", "copy"].some((name) => rig.log(name).includes('"msg":"another box uses the id'));
    const takeOvers = rig.log("mosquitto").slice(before).split(" as kerb-trial-gw-ioc ").length - 1;
    await rig.program("receiver-ioc").stop();
    const alarms = arrivals(rig.database()).filter(
      ({ data }) => data?.["code"] === "KERB-UP-DUPLICATE",
    ).length;
    return {
      trials: 1,
      figure: `MQTT ${protocol}: alarm ${(alarmMs / 1000).toFixed(1)} s after the copy was started, ${takeOvers} take-overs in all, ${alarms} alarms at the receiver, the other box ${isSeen ? "seen" : "only guessed"}`,
      passed: alarmMs <= 60_000 && takeOvers <= 3 && takeOvers > 0 && alarms > 0 && isSeen,
    };
  });
}

const clonePassLine = "alarm ≤ 60 s, at the receiver too; ≤ 3 take-overs";

export const trials: Trial[] = [
  {
    id: "R18",
    name: "500 gateways after a broker restart",
    passLine: "connects spread over ≥ 30 s",
    needs: ["mosquitto"],
    run: storm,
  },
  {
    id: "R25a",
    name: "two gateways on a copied state folder (MQTT 5)",
    passLine: clonePassLine,
    needs: ["mosquitto"],
    run: (scale) => clone(5, scale),
  },
  {
    id: "R25b",
    name: "two gateways on a copied state folder (3.1.1)",
    passLine: clonePassLine,
    needs: ["mosquitto"],
    run: (scale) => clone("3.1.1", scale),
  },
];

import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../bench/processes.ts";
import { startBroker } from "../../simulators/mqtt/index.ts";
import { onRig, type LinkRig } from "./link-rig.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/** R15 to R17: links that are half open, that swallow acknowledgements, that come and go. */

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
const mqtt = (port: number): string => `mqtt://127.0.0.1:${port}`;

/**
 * A link that has stood for so long is a good one again (`gateway/mqtt/reconnect.ts`); one that falls sooner flaps,
 * and its attempts are spread on purpose: that is R17.
 */
const standsMs = 61_000;

/** How long it takes the gateway to know that its link is gone, ms. `session`: that it had; it may be back so soon. */
async function noticed(rig: LinkRig, timeoutMs: number, session?: number): Promise<number> {
  const fromMs = Date.now();
  await rig.wait("the gateway to notice", timeoutMs, ({ uplinks: [uplink] }) => {
    const isAnother = session !== undefined && uplink?.session !== session;
    return uplink?.state !== "connected" || isAnother;
  });
  return Date.now() - fromMs;
}

/** Waits for the link; gives back its session. */
async function connected(rig: LinkRig): Promise<number | undefined> {
  const { uplinks } = await rig.wait(
    "the link",
    90_000,
    (status) => status.uplinks[0]?.state === "connected",
  );
  return uplinks[0]?.session;
}

async function swallowed(scale: Scale): Promise<Outcome> {
  const broker = await startBroker();
  try {
    return await onRig(async (rig) => {
      rig.receiver("ioc", broker.port);
      await rig.gateway({ url: mqtt(broker.port) });
      await rig.flowing();
      const rounds = scale === "short" ? 1 : 5;
      for (let round = 0; round < rounds; round++) {
        if (round > 0) await sleep(standsMs);
        const before = await connected(rig);
        broker.fault({ kind: "swallow-puback", filter: "trial/up/#" });
        await noticed(rig, 20_000, before);
        // The second half of the case: cut again and again while it sends again.
        for (let cut = 0; cut < 4; cut++) {
          // Cut so often that it looks like another box of the same name, it may stand back for a minute.
          const session = await connected(rig);
          await sleep(100 + 100 * cut);
          broker.fault({ kind: "drop-connections" });
          await noticed(rig, 20_000, session);
        }
        broker.fault(undefined);
        await rig.resumed(60_000);
      }
      const { lost, twice, list } = await rig.settle();
      return {
        trials: rounds,
        figure: `${list.length} events stored, ${lost} lost, ${twice} stored twice`,
        passed: lost === 0 && twice === 0 && list.length > 50,
      };
    });
  } finally {
    await broker.close();
  }
}

async function halfOpen(end: "healed" | "reset", scale: Scale): Promise<Outcome> {
  return onRig(async (rig) => {
    await rig.broker();
    rig.receiver();
    const proxy = await rig.proxy();
    await rig.gateway({ url: mqtt(proxy.port) });
    await rig.flowing();
    const rounds = scale === "short" ? 1 : 10;
    let detectMs = 0;
    let resumeMs = 0;
    for (let round = 0; round < rounds; round++) {
      if (round > 0) await sleep(standsMs);
      await proxy.set("black-hole");
      detectMs = Math.max(detectMs, await noticed(rig, 60_000));
      await sleep(1000 + Math.random() * 4000);
      if (end === "reset") proxy.reset();
      await proxy.set("pass");
      resumeMs = Math.max(resumeMs, await rig.resumed(60_000));
    }
    const { lost, twice } = await rig.settle();
    return {
      trials: rounds,
      figure: `noticed after ${seconds(detectMs)}, everything in custody ${seconds(resumeMs)} after the link was back, ${lost} lost, ${twice} twice`,
      passed: detectMs <= 35_000 && resumeMs <= 5000 && lost === 0 && twice === 0,
    };
  });
}

async function halfOpenIdle(scale: Scale): Promise<Outcome> {
  const keepaliveSeconds = scale === "short" ? 6 : 20;
  const limitMs = (35_000 * keepaliveSeconds) / 20;
  return onRig(async (rig) => {
    await rig.broker();
    rig.receiver();
    const proxy = await rig.proxy();
    await rig.gateway({ url: mqtt(proxy.port), keepalive: `${keepaliveSeconds}s` });
    await rig.flowing();
    rig.device.stop();
    await rig.wait("the outbox to run empty", 20_000, ({ outbox, devices }) => {
      return devices[0]?.state === "lost" && outbox.rows === 0;
    });
    await proxy.set("black-hole");
    const detectMs = await noticed(rig, 60_000);
    await proxy.set("pass");
    const healedMs = Date.now();
    await rig.wait("the connection", 30_000, ({ uplinks }) => uplinks[0]?.state === "connected");
    const resumeMs = Date.now() - healedMs;
    return {
      trials: 1,
      figure: `keepalive ${keepaliveSeconds} s: noticed after ${seconds(detectMs)} (limit ${seconds(limitMs)}), connected ${seconds(resumeMs)} after the link was back`,
      passed: detectMs <= limitMs && resumeMs <= 5000,
    };
  });
}

async function flapping(scale: Scale): Promise<Outcome> {
  const [upMs, downMs, rounds] = scale === "short" ? [5000, 2500, 4] : [20_000, 10_000, 100];
  return onRig(async (rig) => {
    await rig.broker();
    rig.receiver();
    const proxy = await rig.proxy(rig.brokerPort, {
      bitsPerSecond: 64_000,
      delayMs: 100,
      bufferBytes: 65_536,
    });
    await rig.gateway({ url: mqtt(proxy.port) });
    await rig.flowing();
    const before = proxy.joined;
    const startMs = Date.now();
    for (let round = 0; round < rounds; round++) {
      await sleep(upMs);
      await proxy.set("black-hole");
      await sleep(downMs);
      await proxy.set("pass");
    }
    const minutes = (Date.now() - startMs) / 60_000;
    const resumeMs = await rig.resumed(60_000);
    const perMinute = (proxy.joined - before) / minutes;
    const { lost, twice } = await rig.settle(60_000);
    return {
      trials: rounds,
      figure: `${upMs / 1000} s up, ${downMs / 1000} s down, 64 kbit/s: ${perMinute.toFixed(1)} connects a minute, drained ${seconds(resumeMs)} after the last cut, ${lost} lost, ${twice} twice`,
      passed: perMinute < 3 && lost === 0 && twice === 0 && resumeMs < 30_000,
    };
  });
}

/** The receiver's own link: black-holed and reset, then the broker dies. */
async function receiverLink(): Promise<Outcome> {
  return onRig(async (rig) => {
    await rig.broker();
    const proxy = await rig.proxy();
    rig.receiver("ioc", proxy.port);
    await rig.gateway({ url: mqtt(rig.brokerPort) });
    await rig.flowing();
    await proxy.set("black-hole");
    await sleep(4000);
    proxy.reset();
    await proxy.set("pass");
    const cutMs = await rig.resumed(30_000);
    await rig.kill("mosquitto");
    await sleep(1500);
    await rig.broker();
    const killedMs = await rig.resumed(30_000);
    await until("nothing", 1000, () => true);
    const { lost, twice } = await rig.settle();
    return {
      trials: 2,
      figure: `in custody ${seconds(cutMs)} after a cut of the receiver's link, ${seconds(killedMs)} after a broker that was killed and remembers nothing; ${lost} lost, ${twice} twice`,
      passed: cutMs <= 5000 && killedMs <= 10_000 && lost === 0 && twice === 0,
    };
  });
}

export const trials: Trial[] = [
  {
    id: "R15",
    name: "PUBACKs swallowed, then cut while sending again",
    passLine: "0 lost, 0 stored twice",
    needs: [],
    run: swallowed,
  },
  {
    id: "R16a",
    name: "half-open link that heals",
    passLine: "noticed ≤ 35 s, resumed ≤ 5 s, 0 lost",
    needs: ["mosquitto"],
    run: (scale) => halfOpen("healed", scale),
  },
  {
    id: "R16b",
    name: "half-open link that is reset",
    passLine: "noticed ≤ 35 s, resumed ≤ 5 s, 0 lost",
    needs: ["mosquitto"],
    run: (scale) => halfOpen("reset", scale),
  },
  {
    id: "R16c",
    name: "half-open link with nothing to send",
    passLine: "noticed ≤ 35 s at a keepalive of 20 s, connected ≤ 5 s",
    needs: ["mosquitto"],
    run: halfOpenIdle,
  },
  {
    id: "R16d",
    name: "the receiver's link is cut, its broker forgets",
    passLine: "resumed ≤ 5 s and ≤ 10 s, 0 lost",
    needs: ["mosquitto"],
    run: receiverLink,
  },
  {
    id: "R17",
    name: "flapping 4G",
    passLine: "< 3 connects a minute, 0 lost, backlog drains",
    needs: ["mosquitto"],
    run: flapping,
  },
];

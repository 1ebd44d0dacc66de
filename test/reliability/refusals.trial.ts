import { setTimeout as sleep } from "node:timers/promises";
import { inflate } from "../../gateway/uplink/encoding.ts";
import { startBroker } from "../../simulators/mqtt/index.ts";
import { onRig, type LinkRig } from "./link-rig.ts";
import type { Outcome, Trial } from "./trial.ts";

/** R19: messages that a broker will not take, and brokers that will not take so many. */

const mqtt = (port: number): string => `mqtt://127.0.0.1:${port}`;

/** Longest way of an event of the counting device, ms, from its read to the receiver. */
function longestMs(
  list: readonly { device: string; kind: string; timeMs: number; receivedMs: number }[],
): number {
  const own = list.filter(({ device, kind }) => device === "counter" && kind === "telemetry");
  return Math.max(...own.map(({ timeMs, receivedMs }) => receivedMs - timeMs));
}

/** The verdict over dead letters: tries, books and declaration agree, and nothing else was lost or held up. */
async function verdict(rig: LinkRig, what: string): Promise<Outcome> {
  const { lost, twice, list } = await rig.settle();
  const status = await rig.status();
  if (status === undefined) throw new Error("the gateway does not answer");
  const { books, deadLetters } = status.outbox;
  const dead = deadLetters.counts["ioc"] ?? 0;
  const tries = Math.max(0, ...deadLetters.newest.map((letter) => letter.tries));
  const declared = list
    .filter(({ kind }) => kind === "gap")
    .flatMap(({ data }) => (data?.["dropped"] ?? []) as { from: number; to: number }[])
    .reduce((sum, { from, to }) => sum + to - from + 1, 0);
  const dropped = books.live.dropped + books.event.dropped;
  const wayMs = longestMs(list);
  return {
    trials: dead,
    figure: `${what}: ${dead} dead letters after ${tries} tries at most, ${declared} declared; every other event at the receiver within ${(wayMs / 1000).toFixed(1)} s; ${twice} twice`,
    passed:
      dead > 0 &&
      tries <= 3 &&
      declared === dead &&
      dropped === dead &&
      wayMs <= 5000 &&
      twice === 0 &&
      lost <= dead,
  };
}

/** mosquitto with max_packet_size 2000; MQTT 5 says so, 3.1.1 hangs up. */
async function tooLarge(protocol: 5 | "3.1.1"): Promise<Outcome> {
  return onRig(async (rig) => {
    await rig.broker(["max_packet_size 2000"]);
    rig.receiver();
    await rig.large.start();
    await rig.gateway({ url: mqtt(rig.brokerPort), protocol });
    await rig.flowing();
    await rig.wait("a dead letter", 30_000, ({ outbox }) => (outbox.deadLetters.counts["ioc"] ?? 0) > 0);
    await sleep(2000);
    return verdict(rig, `MQTT ${protocol}`);
  });
}

const text = (payload: Buffer): string => Buffer.from(inflate(payload)).toString();

async function poison(answer: "hangs up" | "0x99"): Promise<Outcome> {
  const broker = await startBroker();
  try {
    return await onRig(async (rig) => {
      rig.receiver("ioc", broker.port);
      broker.fault({
        kind: "poison",
        matches: (topic, payload) =>
          topic.startsWith("trial/up/") && text(payload).includes('"property":"count","value":30,'),
        ...(answer === "0x99" ? { reasonCode: 0x99 } : {}),
      });
      await rig.gateway({ url: mqtt(broker.port), encoding: "cloudevents" });
      await rig.flowing();
      await rig.wait("a dead letter", 30_000, ({ outbox }) => (outbox.deadLetters.counts["ioc"] ?? 0) > 0);
      await sleep(2000);
      return verdict(rig, `a broker that ${answer === "0x99" ? "answers 0x99" : answer}`);
    });
  } finally {
    await broker.close();
  }
}

async function quota(): Promise<Outcome> {
  const broker = await startBroker();
  try {
    return await onRig(async (rig) => {
      rig.receiver("ioc", broker.port);
      await rig.gateway({ url: mqtt(broker.port) });
      await rig.flowing();
      broker.fault({ kind: "quota", filter: "trial/up/#" });
      const before = broker.counts.refused;
      await sleep(8000);
      const refused = broker.counts.refused - before;
      broker.fault(undefined);
      const resumeMs = await rig.resumed(60_000);
      const { lost, twice } = await rig.settle();
      const dead = (await rig.status())?.outbox.deadLetters.counts["ioc"] ?? 0;
      return {
        trials: 1,
        figure: `${refused} messages in 8 s of 0x97, in custody ${(resumeMs / 1000).toFixed(1)} s after it, ${lost} lost, ${dead} dead letters, ${twice} twice`,
        passed: refused <= 20 && resumeMs <= 6000 && lost === 0 && dead === 0 && twice === 0,
      };
    });
  } finally {
    await broker.close();
  }
}

const passLine = "dead letter after ≤ 3 tries, declared; every other event delivered ≤ 5 s";

export const trials: Trial[] = [
  {
    id: "R19a",
    name: "message over the size that the CONNACK grants",
    passLine,
    needs: ["mosquitto"],
    run: () => tooLarge(5),
  },
  {
    id: "R19b",
    name: "message over a size that nobody told (3.1.1)",
    passLine,
    needs: ["mosquitto"],
    run: () => tooLarge("3.1.1"),
  },
  {
    id: "R19c",
    name: "message that kills the connection",
    passLine,
    needs: [],
    run: () => poison("hangs up"),
  },
  { id: "R19d", name: "message whose content is refused", passLine, needs: [], run: () => poison("0x99") },
  {
    id: "R19e",
    name: "quota exceeded (0x97)",
    passLine: "0 lost, no dead letter, ≤ 20 messages in 8 s, in custody ≤ 6 s after it ends",
    needs: [],
    run: quota,
  },
];

import { setTimeout as sleep } from "node:timers/promises";
import { deviceId, pointsPerDevice } from "./device-shape.ts";
import type { DeviceLog, FarmOptions } from "./farm.ts";
import type { FloorOptions, FromFloor, ToFloor } from "./floor.ts";
import {
  spread,
  threadTimes,
  usageOf,
  wireBytes,
  wireTotal,
  type Spread,
  type Usage,
  type WireBytes,
} from "./measure.ts";
import { Peer } from "./processes.ts";
import type { CommandsResult } from "./commands.ts";
import { LinkProxy, type LinkState } from "./proxy.ts";
import { Rig, type RigOptions } from "./rig.ts";
import { verify, type Arrival, type Verdict } from "./verify.ts";

/** How long things take, and whose kerb is measured. */
export interface Effort {
  warmUpMs: number;
  countMs: number;
  outageMs: number;
  root?: string;
  profileFolder?: string;
  keep: boolean;
}

/** What one workload has shown. Absent figures do not belong to it. */
export interface Result {
  name: string;
  /** Readings that the farm gave, and that the receiver got, per second. */
  polledPerSecond: number;
  deliveredPerSecond?: number;
  /** CPU ms per 1,000 readings: supervisor and hosts; and with the receiver. */
  cpu: number;
  cpuWithReceiver?: number;
  farmCpu?: number;
  /** All processes of the gateway together; shared pages counted in each, and once. */
  rssMb: number;
  pssMb: number;
  /** RSS of each of the gateway's processes, the supervisor first. */
  rssMbEach: number[];
  receiverRssMb?: number;
  fromChange?: Spread;
  fromAnswer?: Spread;
  wirePerReading?: number;
  diskPerReading?: number;
  messageBytes?: number;
  readingsPerMessage?: number;
  /** Share of the readings that went in lane fill, 0 to 1: on a good link none should. */
  fillShare?: number;
  lost?: number;
  failedPolls?: number;
  twice?: number;
  outOfOrder?: number;
  notGood?: number;
  sentTwice?: number;
  /** CPU ms per 1,000 readings by thread. */
  threads?: Record<string, number>;
  healthyShare?: number;
  pollGap?: Spread;
  outage?: OutageResult;
  commands?: CommandsResult;
}

export interface OutageResult {
  link: LinkState;
  cutMs: number;
  /** From the moment the link was back, until the session stood, and until the last backlog was at the receiver. */
  reconnectMs: number;
  drainFromBackMs: number;
  drainFromReconnectMs: number;
  backlogReadings: number;
  /** Of all polls that were answered while the backlog drained, whichever lane took them. */
  liveMeanwhile: Spread;
  timeError: Spread;
  timeErrorOfBacklog: Spread;
}

export interface Sample {
  atMs: number;
  gateway: Usage;
  receiver: Usage;
  farm: Usage;
  wire: WireBytes | undefined;
  threads: Map<string, number>;
}

function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

export function farmOf(options: Partial<FarmOptions>): FarmOptions {
  return { devices: 50, silent: 0, delayMs: 0, change: "second", ...options };
}

export function sample(rig: Rig): Sample {
  return {
    gateway: usageOf(rig.gateway.pid),
    receiver: usageOf(rig.receiver.pid),
    farm: usageOf(rig.farm.pid),
    wire: wireBytes(rig.gateway.pid, rig.uplinkPort),
    threads: threadTimes(rig.gateway.pid),
    atMs: wallMs(),
  };
}

function within(times: readonly number[], from: number, to: number): number {
  let count = 0;
  for (const time of times) if (time >= from && time < to) count++;
  return count;
}

function polledReadings(log: readonly DeviceLog[], from: number, to: number): number {
  return log.reduce((sum, { answeredMs }) => sum + within(answeredMs, from, to), 0) * pointsPerDevice;
}

/**
 * What every workload with a gateway shares: the figures between two samples, and the books. CPU and wire count
 * per reading that was delivered, which is fewer than were polled while an outbox fills.
 */
export function resultOf(
  name: string,
  from: Sample,
  to: Sample,
  log: readonly DeviceLog[],
  verdict: Verdict,
): Result {
  const polled = polledReadings(log, from.atMs, to.atMs);
  const inWindow = verdict.arrivals.filter(
    ({ receivedMs }) => receivedMs >= from.atMs && receivedMs < to.atMs,
  );
  const delivered = inWindow.length * pointsPerDevice;
  const seconds = (to.atMs - from.atMs) / 1000;
  const thousands = Math.min(polled, delivered) / 1000;
  const cpu = (to.gateway.cpuMs - from.gateway.cpuMs) / thousands;
  const events = verdict.arrivals.length;
  return {
    name,
    polledPerSecond: polled / seconds,
    deliveredPerSecond: delivered / seconds,
    cpu,
    cpuWithReceiver: cpu + (to.receiver.cpuMs - from.receiver.cpuMs) / thousands,
    farmCpu: (to.farm.cpuMs - from.farm.cpuMs) / thousands,
    rssMb: to.gateway.rssBytes / 1e6,
    pssMb: to.gateway.pssBytes / 1e6,
    rssMbEach: to.gateway.rssBytesEach.map((bytes) => bytes / 1e6),
    receiverRssMb: to.receiver.rssBytes / 1e6,
    fromChange: spread(inWindow.map(({ receivedMs, changedMs }) => receivedMs - changedMs)),
    fromAnswer: spread(inWindow.map(({ receivedMs, answeredMs }) => receivedMs - answeredMs)),
    ...(from.wire === undefined || to.wire === undefined
      ? {}
      : { wirePerReading: wireTotal(from.wire, to.wire) / (thousands * 1000) }),
    diskPerReading: (to.gateway.writtenBytes - from.gateway.writtenBytes) / polled,
    fillShare: inWindow.filter(({ lane }) => lane === "fill").length / inWindow.length,
    messageBytes: verdict.payloadBytes / verdict.messages,
    readingsPerMessage: (events * pointsPerDevice) / verdict.messages,
    lost: verdict.lost * pointsPerDevice,
    failedPolls: verdict.failed,
    twice: verdict.twice * pointsPerDevice,
    outOfOrder: verdict.outOfOrder,
    notGood: verdict.notGood,
    sentTwice: verdict.duplicateEvents,
    threads: threadShares(from.threads, to.threads, thousands),
  };
}

function threadShares(
  from: Map<string, number>,
  to: Map<string, number>,
  thousands: number,
): Record<string, number> {
  const shares = [...to].map(([thread, ms]) => [thread, (ms - (from.get(thread) ?? 0)) / thousands] as const);
  return Object.fromEntries(shares.filter(([, share]) => share >= 0.01).sort((a, b) => b[1] - a[1]));
}

export function rigOptions(effort: Effort, options: Omit<RigOptions, "root" | "profileFolder">): RigOptions {
  const { root, profileFolder } = effort;
  return {
    ...options,
    ...(root === undefined ? {} : { root }),
    ...(profileFolder === undefined ? {} : { profileFolder }),
  };
}

/** Runs a rig from start to books; `during` is the measured part. */
export async function onRig<T>(
  options: RigOptions,
  effort: Effort,
  drainMs: number,
  during: (rig: Rig) => Promise<T>,
): Promise<{ measured: T; log: DeviceLog[]; verdict: Verdict; missed: number[] }> {
  const rig = new Rig(options);
  let failed = true;
  try {
    await rig.start();
    await sleep(effort.warmUpMs);
    const measured = await during(rig);
    const before = await rig.status();
    const { log } = await rig.finish(drainMs);
    const reports = new Map(before.devices.map((device) => [device.id, device]));
    const polls = log.map((_, index) => reports.get(deviceId(index)));
    const verdict = verify(
      rig.database,
      log,
      polls.map((report) => report?.failed ?? 0),
    );
    failed = false;
    return { measured, log, verdict, missed: polls.map((report) => report?.missed ?? 0) };
  } finally {
    await rig.close(effort.keep);
    if (failed && effort.keep) process.stderr.write(`left behind: ${rig.folder}\n`);
  }
}

async function counted(rig: Rig, forMs: number): Promise<[Sample, Sample]> {
  const from = sample(rig);
  await sleep(forMs);
  rig.gateway.check();
  return [from, sample(rig)];
}

/** `poll`: devices × 100 registers in 4 ranges every second. */
export async function poll(
  name: string,
  devices: number,
  requestsInFlight: number,
  effort: Effort,
): Promise<Result> {
  const options = rigOptions(effort, { farm: farmOf({ devices }), pollMs: 1000, requestsInFlight });
  const { measured, log, verdict } = await onRig(options, effort, 30_000, (rig) =>
    counted(rig, effort.countMs),
  );
  const [from, to] = measured;
  return resultOf(name, from, to, log, verdict);
}

/**
 * `flat-out`: 50 devices are asked again after `pollMs`, and every poll finds new values. With 1 ms each is asked as
 * soon as it has answered, which is more than the uplink can carry: the outbox grows, and the rest drains afterwards.
 */
export async function flatOut(name: string, pollMs: number, effort: Effort): Promise<Result> {
  const farm = farmOf({ devices: 50, change: "poll" });
  const options = rigOptions(effort, { farm, pollMs, requestsInFlight: 4, outboxBytesMax: "8GiB" });
  const { measured, log, verdict } = await onRig(options, effort, 180_000, (rig) =>
    counted(rig, effort.countMs / 2),
  );
  const [from, to] = measured;
  const { fromChange: _, ...result } = resultOf(name, from, to, log, verdict);
  return result;
}

/** The same reads and publishes by plain Node; messages as large and as full as `like` had them. */
export async function floor(name: string, like: Result, effort: Effort): Promise<Result> {
  const isFlatOut = like.name === "flat-out";
  const devices = isFlatOut ? 50 : Math.round(like.polledPerSecond / pointsPerDevice);
  const farm = farmOf({ devices, change: isFlatOut ? "poll" : "second" });
  const rig = new Rig({ farm, pollMs: 1000, requestsInFlight: 4 });
  const bare = new Peer<ToFloor, FromFloor>("floor.ts");
  try {
    await rig.startFarm();
    const options: FloorOptions = {
      ports: rig.ports,
      broker: `mqtt://127.0.0.1:${rig.brokerPort}`,
      periodMs: isFlatOut ? 0 : 1000,
      payloadBytes: Math.round(like.messageBytes ?? 1500),
      readingsPerMessage: like.readingsPerMessage ?? 500,
    };
    await bare.ask({ type: "start", options }, "started");
    await sleep(effort.warmUpMs);
    const [before, from] = [usageOf(bare.pid), wireBytes(bare.pid, rig.brokerPort)];
    const fromMs = wallMs();
    const first = await bare.ask({ type: "count" }, "count");
    await sleep(effort.countMs);
    const [after, to] = [usageOf(bare.pid), wireBytes(bare.pid, rig.brokerPort)];
    const last = await bare.ask({ type: "count" }, "count");
    const readings = (last.polls - first.polls) * pointsPerDevice;
    return {
      name,
      polledPerSecond: (readings * 1000) / (wallMs() - fromMs),
      cpu: ((after.cpuMs - before.cpuMs) * 1000) / readings,
      rssMb: after.rssBytes / 1e6,
      pssMb: after.pssBytes / 1e6,
      rssMbEach: after.rssBytesEach.map((bytes) => bytes / 1e6),
      ...(from === undefined || to === undefined ? {} : { wirePerReading: wireTotal(from, to) / readings }),
    };
  } finally {
    await bare.stop();
    await rig.close();
  }
}

/** `mixed`: of 50 slow devices 5 never answer and 5 are closed ports; the others must not notice. */
export async function mixed(name: string, effort: Effort): Promise<Result> {
  const silent = 5;
  const farm = farmOf({ devices: 45, silent, delayMs: 20 });
  const options = rigOptions(effort, { farm, pollMs: 1000, requestsInFlight: 1, closedPorts: 5 });
  const { measured, log, verdict } = await onRig(options, effort, 30_000, (rig) =>
    counted(rig, effort.countMs),
  );
  const [from, to] = measured;
  const healthy = log
    .slice(silent)
    .map(({ askedMs }) => askedMs.filter((atMs) => atMs >= from.atMs && atMs < to.atMs));
  const gaps = healthy.flatMap((times) => times.slice(1).map((atMs, i) => atMs - (times[i] ?? atMs)));
  const due = Math.floor((to.atMs - from.atMs) / 1000) * healthy.length;
  return {
    ...resultOf(name, from, to, log, verdict),
    healthyShare: Math.min(1, healthy.reduce((sum, times) => sum + times.length, 0) / due),
    pollGap: spread(gaps),
  };
}

/** `outage`: the link to the broker is refused or black-holed for a while, and comes back. */
export async function outage(name: string, link: LinkState, effort: Effort): Promise<Result> {
  let proxy: LinkProxy | undefined;
  const options = rigOptions(effort, {
    farm: farmOf({ devices: 50 }),
    pollMs: 1000,
    requestsInFlight: 4,
    link: async (brokerPort) => {
      proxy = new LinkProxy(brokerPort);
      await proxy.open();
      return proxy.port;
    },
  });
  try {
    const { measured, log, verdict } = await onRig(options, effort, 120_000, async (rig) => {
      const from = sample(rig);
      await proxy?.set(link);
      const cutAtMs = wallMs();
      await sleep(effort.outageMs);
      await proxy?.set("pass");
      const backAtMs = wallMs();
      const connectedAtMs = await drained(rig);
      await sleep(5000);
      return { from, to: sample(rig), cutAtMs, backAtMs, flowsAtMs: Math.max(backAtMs, connectedAtMs) };
    });
    const { from, to, ...times } = measured;
    const { wirePerReading: _, ...result } = resultOf(name, from, to, log, verdict);
    return { ...result, outage: outageOf(link, times, verdict.arrivals) };
  } finally {
    await proxy?.close();
  }
}

/** Waits until the uplink is up again and nothing is left to fill; returns since when it is up, wall-clock ms. */
async function drained(rig: Rig): Promise<number> {
  for (let quiet = 0; ;) {
    await sleep(1000);
    rig.gateway.check();
    const { uplinks, outbox } = await rig.status();
    const [uplink] = uplinks;
    quiet = uplink?.state === "connected" && outbox.uplinks["ioc"]?.backlogRows === 0 ? quiet + 1 : 0;
    if (quiet === 2) return uplink?.sinceMs ?? Number.NaN;
  }
}

function outageOf(
  link: LinkState,
  { cutAtMs, backAtMs, flowsAtMs }: { cutAtMs: number; backAtMs: number; flowsAtMs: number },
  arrivals: readonly Arrival[],
): OutageResult {
  const backlog = arrivals.filter(
    ({ acceptedMs, receivedMs }) => acceptedMs < flowsAtMs && receivedMs >= flowsAtMs,
  );
  const drainedAtMs = backlog.reduce((last, { receivedMs }) => Math.max(last, receivedMs), flowsAtMs);
  // A drain that is over in a moment still has to leave the seconds around it as they were.
  const untilMs = Math.max(drainedAtMs, flowsAtMs + 5000);
  const live = arrivals.filter(({ answeredMs }) => answeredMs >= flowsAtMs && answeredMs < untilMs);
  return {
    link,
    cutMs: backAtMs - cutAtMs,
    reconnectMs: flowsAtMs - backAtMs,
    drainFromBackMs: drainedAtMs - backAtMs,
    drainFromReconnectMs: drainedAtMs - flowsAtMs,
    backlogReadings: backlog.length * pointsPerDevice,
    liveMeanwhile: spread(live.map(({ receivedMs, answeredMs }) => receivedMs - answeredMs)),
    timeError: timeErrors(arrivals),
    timeErrorOfBacklog: timeErrors(backlog),
  };
}

function timeErrors(arrivals: readonly Arrival[]): Spread {
  return spread(arrivals.map(({ eventMs, answeredMs }) => Math.abs(eventMs - answeredMs)));
}

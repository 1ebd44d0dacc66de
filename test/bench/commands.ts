import { setTimeout as sleep } from "node:timers/promises";
import { Commander } from "../../gateway/receiver/commands/commander.ts";
import { issuerKeyOf, newIssuerKey } from "../../gateway/receiver/commands/make.ts";
import { start } from "../../simulators/modbus/index.ts";
import type { Simulator } from "../../simulators/simulator.ts";
import { spread, type Spread } from "./measure.ts";
import { city, gatewayId } from "./site-file.ts";
import { farmOf, onRig, resultOf, rigOptions, sample, type Effort, type Result } from "./workloads.ts";

/** Round trip of commands, from the IOC's call to the end that it hears, one after the other; ms. */
export interface CommandsResult {
  done: Spread;
  accepted: Spread;
  /** From the device's word that it has taken the value to the end at the IOC. */
  told: Spread;
  /** Ends other than "done", and writes at the device beyond one for each command. */
  wrong: number;
}

const count = 120;
/** So many go before, so that what is measured is compiled. */
const warmUpCount = 40;
const device = "light-01";
const transport = { type: "tcp", host: "127.0.0.1", port: 0 };
const address = { table: "holding", register: 0 };

async function measure(broker: string, key: string, simulator: Simulator): Promise<CommandsResult> {
  const commander = new Commander({ broker, city });
  const [done, accepted, told]: [number[], number[], number[]] = [[], [], []];
  let wrong = 0;
  commander.open();
  try {
    for (let n = -warmUpCount; n < count; n++) {
      const startedMs = performance.now();
      let acceptedMs = Number.NaN;
      const { state, last } = await commander.execute(
        { gateway: gatewayId, device, args: { level: n + warmUpCount }, by: "ioc", role: "lights" },
        issuerKeyOf(key),
        { heard: ({ state: heard }) => void (heard === "accepted" && (acceptedMs = performance.now())) },
      );
      const endedMs = performance.now();
      if (state !== "done") wrong++;
      if (n < 0) continue;
      done.push(endedMs - startedMs);
      accepted.push(acceptedMs - startedMs);
      told.push(performance.timeOrigin + endedMs - (last?.writtenMs ?? Number.NaN));
    }
  } finally {
    await commander.close();
  }
  wrong += Math.abs((simulator.writes?.all.length ?? 0) - count - warmUpCount);
  return { done: spread(done), accepted: spread(accepted), told: spread(told), wrong };
}

/** `commands`: a device is commanded while meters are read every second; the broker is the one of the uplink. */
export async function commands(name: string, meters: number, effort: Effort): Promise<Result> {
  const { pem, publicKey } = newIssuerKey();
  const points = [{ name: "level", address, scale: 1, offset: 0, isWritable: true }];
  const simulator = await start({ profile: "bench", identity: {}, settings: { transport }, points });
  const port = Number(/:(\d+) unit/.exec(simulator.address)?.[1]);
  const light = {
    id: device,
    driver: "modbus",
    poll: "1s",
    functions: [3, 6, 16],
    transport: { ...transport, port },
    write: { allow: ["level"] },
    points: { level: { address, write: {} } },
  };
  const issuers = [{ id: "ioc", key: publicKey, roles: ["lights"] }];
  const roles = { lights: { devices: [device] } };
  const options = rigOptions(effort, {
    farm: farmOf({ devices: meters }),
    pollMs: 1000,
    requestsInFlight: 4,
    more: { commands: { issuers, roles, ratePerMinute: 600, clock: "holdover" }, devices: [light] },
  });
  try {
    const short = { ...effort, warmUpMs: Math.min(effort.warmUpMs, 1000) };
    const { measured, log, verdict } = await onRig(options, short, 30_000, async (rig) => {
      const from = sample(rig);
      const found = await measure(`mqtt://127.0.0.1:${rig.brokerPort}`, pem, simulator);
      // Two seconds of telemetry at least, however fast the commands were.
      await sleep(Math.max(0, from.atMs + 2000 - performance.timeOrigin - performance.now()));
      return { found, from, to: sample(rig) };
    });
    const { found, from, to } = measured;
    return { ...resultOf(name, from, to, log, verdict), commands: found };
  } finally {
    await simulator.close();
  }
}

import { join } from "node:path";
import { SimulatedBroker } from "./broker.ts";
import { Chaos, type Site } from "./chaos.ts";
import type { SimulatedDevice } from "./devices.ts";
import { disks, removeFolder, temporaryFolder } from "./files.ts";
import { SimulatedGateway, type GatewaySettings } from "./gateway.ts";
import { SimulatedIoc } from "./ioc.ts";
import { key, OutboxModel, type Accepted, type Excuses } from "./outbox-model.ts";
import { makePlan, type FaultKind, type Plan } from "./plan.ts";
import { ReceiverModel } from "./receiver-model.ts";
import { Link } from "./wire.ts";
import { World, type Violation } from "./world.ts";

export interface SeedOptions {
  /** Virtual time, the quiet end included. */
  hours?: number;
  /** Prints each step. */
  trace?: boolean;
}

export interface SeedResult {
  seed: number;
  /** Over every line of the trace: equal for equal seeds. */
  hash: number;
  faults: FaultKind[];
  violation: Violation | undefined;
  virtualMs: number;
  steps: number;
  accepted: number;
  dropped: number;
  lost: number;
}

/** The links are there, but back-offs and re-sends may still wait. */
const settleMs = 180_000;
const calmMs = 120_000;
/** From an event's commit in the gateway to the receiver's disk on a healthy link. */
const latencyMaxMs = 5000;
const drainStepMs = 60_000;
const drainSteps = 15;
/** The file may be an older one afterwards: a log with a page of garbage ends before it. */
const older: FaultKind[] = ["file-page", "file-restored", "file-unlinked"];
const replaced: FaultKind[] = ["file-lost", "file-damaged", ...older];

/** Runs one seed. Deterministic: the same seed and hours give the same trace. Never throws for a violation. */
export async function simulate(
  seed: number,
  { hours = 1, trace = false }: SeedOptions = {},
): Promise<SeedResult> {
  const folder = temporaryFolder();
  const world = new World(seed, trace);
  const plan = makePlan(world.random("plan"));
  process.env["KERB_CLOCK_MARK"] = join(folder, "clock-mark");
  world.install();
  disks.install();
  try {
    return await new Seed(world, plan, folder).run(seed, hours);
  } finally {
    disks.uninstall();
    world.uninstall();
    delete process.env["KERB_CLOCK_MARK"];
    removeFolder(folder);
  }
}

class Seed {
  readonly #world: World;
  readonly #plan: Plan;
  readonly #sites: Site[];
  readonly #model: OutboxModel;
  readonly #gateway: SimulatedGateway;
  readonly #chaos: Chaos;

  constructor(world: World, plan: Plan, folder: string) {
    this.#world = world;
    this.#plan = plan;
    this.#model = new OutboxModel(
      world,
      excuses(plan),
      (event) => this.#mayRelease(event),
      (event) =>
        this.#sites.some(
          ({ ioc: { model } }) => model.has(event) || model.setBack.has(key(event.epoch, event.seq)),
        ),
    );
    const names = plan.faults.has("two-uplinks") ? ["ioc", "province"] : ["ioc"];
    this.#model.uplinks = names.length;
    this.#sites = names.map((name) => {
      const broker = new SimulatedBroker(world, `broker-${name}`);
      broker.receiveMaximum = plan.windowMax;
      const model = new ReceiverModel(world, name, this.#model.events);
      const ioc = new SimulatedIoc(world, name, folder, broker, new Link(world, `${name} down`), model);
      return { broker, link: new Link(world, `${name} up`), ioc };
    });
    const devices = plan.pollMs.map((pollMs, i): SimulatedDevice => ({
      id: `meter-${i}`,
      pollMs,
      profile: "",
      extras: (i * 5) % 7,
      line: i < 2 ? 0 : undefined,
      count: 0,
      fault: undefined,
    }));
    const settings = settingsOf(plan, names);
    this.#gateway = new SimulatedGateway(
      world,
      join(folder, "gateway-0"),
      settings,
      this.#sites,
      devices,
      this.#model,
    );
    for (const { ioc } of this.#sites) ioc.model.offsetsMs = this.#gateway.box.offsetsMs;
    disks.closing = (path) => {
      if (path === this.#gateway.path && this.#gateway.isRunning) this.#model.closing();
    };
    this.#chaos = new Chaos(world, plan, this.#gateway, this.#model, this.#sites, devices);
  }

  async run(seed: number, hours: number): Promise<SeedResult> {
    const world = this.#world;
    const activeMs = Math.max(60_000, hours * 3_600_000 - settleMs - calmMs - 2 * drainStepMs);
    for (const { ioc } of this.#sites) ioc.start();
    this.#gateway.start();
    this.#chaos.start();
    await world.run(activeMs);
    world.current = world.chaos;
    this.#chaos.heal();
    await world.run(world.nowMs + settleMs);
    for (const { ioc } of this.#sites) ioc.model.calmSinceMs = world.nowMs;
    await world.run(world.nowMs + calmMs);
    world.current = world.chaos;
    this.#checkCalm();
    this.#gateway.stopHost();
    for (let i = 0; i < drainSteps && this.#model.keptCount > 0; i++)
      await world.run(world.nowMs + drainStepMs);
    if (world.violation === undefined) await this.#checkEnd();
    const states = Map.groupBy(this.#model.events.values(), ({ state }) => state);
    return {
      seed,
      hash: world.hash,
      faults: [...this.#plan.faults],
      violation: world.violation,
      virtualMs: world.nowMs,
      steps: world.steps,
      accepted: this.#model.events.size,
      dropped: states.get("dropped")?.length ?? 0,
      lost: states.get("lost")?.length ?? 0,
    };
  }

  /** Asked when a row is deleted at the watermark. */
  #mayRelease(event: Accepted): string | undefined {
    for (const { ioc } of this.#sites) {
      const { model } = ioc;
      const known = model.has(event) || model.lossOf(event) !== undefined;
      if (!known && !model.setBack.has(key(event.epoch, event.seq))) return `${ioc.name} does not have it`;
    }
    return undefined;
  }

  #checkCalm(): void {
    for (const { ioc } of this.#sites) {
      const { slowestMs } = ioc.model;
      if (slowestMs > latencyMaxMs)
        this.#world.fail(`on a healthy link an event took ${slowestMs} ms to ${ioc.name}'s disk`);
    }
  }

  /** Nothing is on its way any more: each number is at every receiver, or everyone knows why it is not. */
  async #checkEnd(): Promise<void> {
    const world = this.#world;
    const [left] = this.#model.kept();
    if (left !== undefined) {
      const text = `${this.#model.keptCount} events are still in the outbox, from ${left.epoch}:${left.seq} on`;
      return world.fail(`${text} (${this.#gateway.stats()})`);
    }
    for (const { ioc } of this.#sites) {
      const { receiver, model } = ioc;
      if (receiver === undefined) return world.fail(`${ioc.name} does not run`);
      for (const event of this.#model.events.values()) {
        const id = key(event.epoch, event.seq);
        const declared = model.lossOf(event);
        if (model.has(event) || event.state === "lost" || model.setBack.has(id)) continue;
        // A row that was declared lost may come back with an older file; its number stays lost.
        // What one broker refuses for good is lost for its receiver alone.
        const mayBeLost =
          event.state === "dropped" ||
          older.some((fault) => this.#plan.faults.has(fault)) ||
          (this.#sites.length > 1 && (declared === "too-large" || declared === "refused"));
        if (!mayBeLost || declared === undefined)
          return world.fail(
            `${id} is ${event.state}, and ${ioc.name} neither has it nor knows that it is lost`,
          );
      }
      const hasNewFile = replaced.some((kind) => this.#plan.faults.has(kind));
      model.compare(receiver, hasNewFile);
      if (!hasNewFile && model.setBack.size === 0 && !this.#plan.faults.has("receiver-set-back"))
        model.checkCertificates(await ioc.certificates());
      // Another file does not know what an epoch had come to.
      if (!hasNewFile) model.checkShown(this.#model.epochs);
    }
    this.#checkHandover();
  }

  /** Without a kill every event of a host is in the outbox, or counted by a gap event. */
  #checkHandover(): void {
    const { faults } = this.#plan;
    const kills: FaultKind[] = ["gateway-kill", "kill-mid-turn", "power-cut", "host-kill", "configuration"];
    if ([...kills, ...replaced].some((kind) => faults.has(kind))) return;
    const { missing, told } = this.#model.handover;
    // At most what the last poll handed over when the hosts were stopped.
    if (missing < told || missing > told + 20)
      this.#world.fail(`${missing} events of the hosts got no number, gap events tell of ${told}`);
  }
}

function excuses({ faults }: Plan): Excuses {
  const reasons = new Set<string>();
  const has = (...kinds: FaultKind[]): boolean => kinds.some((kind) => faults.has(kind));
  if (has("tiny-budget")) reasons.add("evicted");
  if (has(...replaced)) reasons.add("storage");
  if (has("bit-flip", "file-page")) reasons.add("corrupt");
  if (has("batch-refused")) reasons.add("refused");
  if (has("batch-refused", "tiny-messages")) reasons.add("too-large");
  return {
    reasons,
    disk: has("disk-read-only", "disk-full", "disk-sectors", "disk-unsure", ...replaced),
    page: has("file-page"),
  };
}

function settingsOf(plan: Plan, names: readonly string[]): GatewaySettings {
  const { bytesMax, commitEventsMax, creditBytes, ringBytesMax, messageBytesMax, sealEveryMs } = plan;
  const uplinks = names.map((id, i) => ({
    id,
    type: "mqtt",
    url: "mqtt://simulated",
    encoding: plan.faults.has("cloudevents") === (i === 0) ? "cloudevents" : "columnar",
    protocol: 5,
    keepaliveMs: 30_000,
    windowMax: 20,
    messageBytesMax,
    resendAfterMs: plan.resendAfterMs,
    reconnectMaxMs: plan.reconnectMaxMs,
  })) as unknown as GatewaySettings["uplinks"];
  return { bytesMax, commitEventsMax, creditBytes, ringBytesMax, sealEveryMs, uplinks };
}

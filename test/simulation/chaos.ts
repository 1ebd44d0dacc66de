import { existsSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { refusalReasons, type BrokerFaults, type SimulatedBroker } from "./broker.ts";
import type { SimulatedDevice } from "./devices.ts";
import { copyFolder, disks, pageBytes, removeFolder } from "./files.ts";
import type { SimulatedGateway } from "./gateway.ts";
import type { SimulatedIoc } from "./ioc.ts";
import type { OutboxModel } from "./outbox-model.ts";
import { pick, type FaultKind, type Plan } from "./plan.ts";
import type { Link } from "./wire.ts";
import type { World } from "./world.ts";

/** One uplink with all that stands behind it. */
export interface Site {
  broker: SimulatedBroker;
  link: Link;
  ioc: SimulatedIoc;
}

/** Makes things go wrong, by the plan of the seed, until it is told to let everything heal. */
export class Chaos {
  readonly #world: World;
  readonly #plan: Plan;
  readonly #gateway: SimulatedGateway;
  readonly #model: OutboxModel;
  readonly #sites: readonly Site[];
  readonly #devices: SimulatedDevice[];
  readonly #random: () => number;
  #over = false;
  #backup: string | undefined;
  counts = new Map<FaultKind, number>();

  constructor(
    world: World,
    plan: Plan,
    gateway: SimulatedGateway,
    model: OutboxModel,
    sites: readonly Site[],
    devices: SimulatedDevice[],
  ) {
    this.#world = world;
    this.#plan = plan;
    this.#gateway = gateway;
    this.#model = model;
    this.#sites = sites;
    this.#devices = devices;
    this.#random = world.random("chaos");
  }

  start(): void {
    for (const kind of this.#plan.faults) if (this.#acts[kind] !== undefined) this.#next(kind);
  }

  #next(kind: FaultKind): void {
    const pauseMs = -Math.log(1 - this.#random()) * this.#plan.betweenMs;
    this.#world.after(this.#world.chaos, pauseMs, () => {
      if (this.#over) return;
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
      this.#world.trace(`fault ${kind}`);
      this.#acts[kind]?.();
      this.#next(kind);
    });
  }

  /** After `ms` on average, unless everything is healed before. */
  #later(meanMs: number, work: () => void): void {
    this.#world.after(this.#world.chaos, meanMs * (0.1 + this.#random() * 1.8), () => {
      if (!this.#over) work();
    });
  }

  /** Everything works again from now on. */
  heal(): void {
    this.#over = true;
    this.#world.trace("everything heals");
    for (const { broker, link, ioc } of this.#sites) {
      broker.heal();
      link.heal(false);
      ioc.link.heal(false);
      link.bytesPerSecond = Infinity;
      if (!ioc.isRunning) ioc.start();
      disks.heal(ioc.path, 1_073_741_823);
    }
    for (const device of this.#devices) device.fault = undefined;
    this.#healDisk();
    this.#gateway.dieAtNextWord = undefined;
    this.#gateway.box.wallOffsetMs = 0;
    if (!this.#gateway.isRunning) this.#gateway.start();
  }

  #healDisk(): void {
    disks.heal(this.#gateway.path, Math.floor(Math.max(262_144, this.#plan.bytesMax) / pageBytes));
  }

  get #site(): Site {
    return pick(this.#random, this.#sites);
  }

  /** Kills the gateway, does something to what it left, and starts it again after a while. */
  #restart(power: boolean, meanwhile: () => void = () => {}): void {
    if (!this.#gateway.isRunning) return;
    this.#gateway.kill(power);
    meanwhile();
    // A box without a battery for its clock goes on from some moment before.
    if (power && this.#plan.faults.has("clock-step") && this.#random() < 0.5)
      this.#setClock(this.#gateway.box.wallOffsetMs - Math.floor(this.#random() * 900_000));
    this.#reconfigure();
    const again = (): void => {
      if (!this.#gateway.isRunning) this.#gateway.start();
    };
    this.#later(pick(this.#random, [2000, 20_000, 120_000]), again);
  }

  #reconfigure(): void {
    if (!this.#plan.faults.has("configuration") || this.#random() < 0.3) return;
    const device = pick(this.#random, this.#devices);
    if (this.#random() < 0.5) device.extras = 1 + Math.floor(this.#random() * 6);
    else device.profile = `vendor/model-${Math.floor(this.#random() * 3)}`;
  }

  #setClock(offsetMs: number): void {
    this.#gateway.box.wallOffsetMs = offsetMs;
    this.#gateway.box.offsetsMs.add(offsetMs);
  }

  #brokerFault(name: keyof BrokerFaults, probability: number): void {
    const { broker } = this.#site;
    broker.faults[name] = probability;
    this.#later(60_000, () => (broker.faults[name] = 0));
  }

  /** Bits rot in a row that is not yet delivered. */
  #flip(): void {
    const database = disks.connection(this.#gateway.path);
    const victim = pick(this.#random, this.#model.kept());
    if (database === undefined || victim === undefined || !this.#gateway.isRunning) return;
    const { base } = database.prepare("SELECT base FROM epoch WHERE epoch = ?").get(victim.epoch) as {
      base: number;
    };
    const id = base + victim.seq;
    const row = database.prepare("SELECT recorded, body FROM event WHERE id = ?").get(id) as
      | { recorded: number; body: Buffer }
      | undefined;
    if (row === undefined) return;
    const at = Math.floor(this.#random() * row.body.length);
    row.body[at] = (row.body[at] ?? 0) ^ (1 << Math.floor(this.#random() * 8));
    try {
      if (this.#random() < 0.8) database.prepare("UPDATE event SET body = ? WHERE id = ?").run(row.body, id);
      else database.prepare("UPDATE event SET recorded = ? WHERE id = ?").run(row.recorded ^ 1024, id);
    } catch (error) {
      // A disk that refuses everything does not rot either.
      this.#world.trace(`nothing rots: ${(error as Error).message}`);
    }
  }

  #replaceFile(how: "lost" | "damaged" | "page" | "restored"): void {
    this.#restart(false, () => {
      const { folder, path } = this.#gateway;
      if (how === "restored") {
        if (this.#backup === undefined) return;
        // The file alone: the note of the epoch beside it stays.
        rmSync(`${path}-wal`, { force: true });
        copyFolder(this.#backup, folder);
      } else if (how === "lost") {
        for (const file of [path, `${path}-wal`]) rmSync(file, { force: true });
        // Without the note beside it only the clock keeps numbers apart, and nothing the indexes of points.
        const { faults } = this.#plan;
        const mayLoseNote = !faults.has("clock-step") && !faults.has("configuration");
        if (mayLoseNote && this.#random() < 0.5) rmSync(join(folder, "epoch"), { force: true });
      } else if (how === "page") this.#destroyPage(path);
      else {
        rmSync(`${path}-wal`, { force: true });
        writeFileSync(path, Buffer.alloc(8192, 0x5a));
      }
      this.#model.fileReplaced = true;
      this.#world.trace(`the outbox file is ${how}`);
    });
  }

  /** One page of the file or its log is garbage: most rows are still to be had. */
  #destroyPage(path: string): void {
    const file = pick(
      this.#random,
      [path, `${path}-wal`].filter((one) => existsSync(one)),
    );
    const bytes = readFileSync(file);
    const pages = Math.floor(bytes.length / pageBytes);
    const at = Math.floor(this.#random() * pages) * pageBytes;
    for (let i = at; i < Math.min(bytes.length, at + pageBytes); i++)
      bytes[i] = Math.floor(this.#random() * 256);
    writeFileSync(file, bytes);
  }

  /** Somebody deletes the file or its log under the running gateway. */
  #unlink(): void {
    const { path, isRunning } = this.#gateway;
    if (!isRunning || disks.connection(path) === undefined) return;
    rmSync(pick(this.#random, [path, `${path}-wal`]), { force: true });
    this.#model.fileReplaced = true;
  }

  #backUp(): void {
    const { folder, path, isRunning } = this.#gateway;
    if (!isRunning || this.#random() < 0.3) return;
    // A log whose file has just been unlinked is no backup: beside another file it would be a mix of two.
    if (!existsSync(path)) return;
    this.#backup ??= join(dirname(folder), "gateway-backup");
    removeFolder(this.#backup);
    copyFolder(folder, this.#backup);
    rmSync(join(this.#backup, "epoch"), { force: true });
    this.#world.trace("the outbox file is backed up");
  }

  #restartIoc(meanwhile: (ioc: SimulatedIoc) => void): void {
    const { ioc } = this.#site;
    if (!ioc.isRunning) return;
    ioc.kill();
    meanwhile(ioc);
    this.#later(pick(this.#random, [1000, 60_000]), () => {
      if (!ioc.isRunning) ioc.start();
    });
  }

  #stall(link: Link): void {
    link.stall();
    const reset = this.#random() < 0.5;
    this.#later(pick(this.#random, [5000, 60_000, 300_000]), () => link.heal(reset));
  }

  #cut(link: Link): void {
    link.refused = this.#random() < 0.7;
    link.cut();
    this.#later(pick(this.#random, [2000, 30_000, 300_000]), () => (link.refused = false));
  }

  readonly #acts: Partial<Record<FaultKind, () => void>> = {
    "gateway-kill": () => this.#restart(false),
    "power-cut": () => this.#restart(true),
    "kill-mid-turn": () => {
      this.#gateway.dieAtNextWord = () => this.#world.enter(this.#world.chaos, () => this.#restart(false));
    },
    "host-kill": () => this.#gateway.killHost(),
    configuration: () => this.#restart(false),
    "disk-read-only": () => this.#ail(() => disks.readOnly(this.#gateway.path)),
    "disk-full": () => this.#ail(() => disks.full(this.#gateway.path)),
    "disk-sectors": () => {
      const every = pick(this.#random, [5, 11, 101]);
      this.#ail(() => disks.brokenSectors(this.#gateway.path, every));
    },
    "disk-unsure": () => {
      const share = pick(this.#random, [0.02, 0.2, 0.6]);
      const random = (): number => this.#random();
      this.#ail(() =>
        disks.unsure(this.#gateway.path, () =>
          random() > share ? undefined : random() < 0.5 ? "before" : "after",
        ),
      );
    },
    "bit-flip": () => this.#flip(),
    "file-lost": () => this.#replaceFile("lost"),
    "file-damaged": () => this.#replaceFile("damaged"),
    "file-page": () => this.#replaceFile("page"),
    "file-unlinked": () => this.#unlink(),
    "file-restored": () =>
      this.#backup === undefined || this.#random() < 0.5 ? this.#backUp() : this.#replaceFile("restored"),
    "receiver-kill": () => this.#restartIoc(() => {}),
    "receiver-set-back": () => {
      if (this.#random() < 0.5) this.#site.ioc.backUp();
      else this.#restartIoc((ioc) => void ioc.setBack());
    },
    "receiver-disk": () => {
      const { ioc } = this.#site;
      disks.readOnly(ioc.path);
      this.#later(40_000, () => disks.heal(ioc.path, 1_073_741_823));
    },
    "link-cut": () => this.#cut(this.#site.link),
    "link-stall": () => this.#stall(this.#site.link),
    "link-slow": () => {
      const { link } = this.#site;
      link.bytesPerSecond = pick(this.#random, [300, 1000, 4000]);
      this.#later(120_000, () => (link.bytesPerSecond = Infinity));
    },
    "receiver-link": () =>
      this.#random() < 0.5 ? this.#cut(this.#site.ioc.link) : this.#stall(this.#site.ioc.link),
    "broker-restart": () => this.#site.broker.restart(true, this.#random() * 20_000),
    "broker-forgets": () => this.#site.broker.restart(false, this.#random() * 20_000),
    "broker-queue": () => (this.#site.broker.queuedMax = pick(this.#random, [5, 50, 1000])),
    "puback-swallowed": () => this.#brokerFault("swallowPuback", pick(this.#random, [0.1, 1])),
    "batch-duplicated": () => this.#brokerFault("duplicate", 0.4),
    "batch-forgotten": () => this.#brokerFault("forget", pick(this.#random, [0.05, 0.5, 1])),
    "batch-refused": () => {
      const { broker } = this.#site;
      broker.reasons = [pick(this.#random, refusalReasons)];
      broker.faults.refuse = pick(this.#random, [0.1, 0.5, 1]);
      this.#later(60_000, () => (broker.faults.refuse = 0));
    },
    "connack-refused": () => {
      const { broker, link } = this.#site;
      broker.connackReason = 0x97;
      link.cut();
      this.#later(60_000, () => (broker.connackReason = 0));
    },
    "ack-lost": () => this.#brokerFault("ackLost", 0.7),
    "ack-late": () => this.#brokerFault("ackLate", 0.5),
    "ack-repeated": () => this.#site.broker.replayAcknowledgement(),
    "clock-step": () => {
      const year = 365 * 24 * 3_600_000;
      this.#setClock(pick(this.#random, [-3_600_000, 3_600_000, -56 * year, 56 * year, 0, 0]));
    },
    "clock-proved": () => {
      // The time service sets the clock and says so.
      this.#gateway.box.wallOffsetMs = 0;
      const mark = process.env["KERB_CLOCK_MARK"] ?? "";
      const seconds = this.#world.trueMs(this.#world.nowMs) / 1000;
      writeFileSync(mark, "");
      utimesSync(mark, seconds, seconds);
    },
    device: () => {
      const device = pick(this.#random, this.#devices);
      device.fault = pick(this.#random, ["silent", "refused", "slow"]);
      this.#later(60_000, () => (device.fault = undefined));
    },
    "alarm-burst": () => {
      const { id } = pick(this.#random, this.#devices);
      const bytes = pick(this.#random, [0, 50, 3000]);
      const filler = Array.from({ length: bytes }, () =>
        String.fromCodePoint(33 + Math.floor(this.#random() * 90)),
      );
      this.#gateway.alarms(id, pick(this.#random, [1, 10, 60]), filler.join(""));
    },
  };

  #ail(sicken: () => void): void {
    if (!this.#gateway.isRunning) return;
    sicken();
    this.#later(pick(this.#random, [5000, 60_000]), () => this.#healDisk());
  }
}

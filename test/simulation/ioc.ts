import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Acknowledgement } from "../../gateway/receiver/acknowledge.ts";
import type { Certificate } from "../../gateway/receiver/certificates.ts";
import { BrokerLink } from "../../gateway/receiver/mqtt.ts";
import { Receiver } from "../../gateway/receiver/receiver.ts";
import type { SimulatedBroker } from "./broker.ts";
import { simulatedLink, type SimulatedClient } from "./client.ts";
import { copyFolder, disks, removeFolder } from "./files.ts";
import { city, gatewayId } from "./gateway.ts";
import type { ReceiverModel } from "./receiver-model.ts";
import type { Link } from "./wire.ts";
import { Actor, newBox, type World } from "./world.ts";

/** The IOC's end without its process: the product's receiver and its link, on a simulated wire. */
export class SimulatedIoc {
  readonly #world: World;
  readonly #broker: SimulatedBroker;
  readonly link: Link;
  readonly model: ReceiverModel;
  readonly name: string;
  #folder: string;
  #starts = 0;
  #actor: Actor | undefined;
  receiver: Receiver | undefined;
  #clients: SimulatedClient[] = [];
  #backup: string | undefined;
  #wasSetBack = false;

  constructor(
    world: World,
    name: string,
    folder: string,
    broker: SimulatedBroker,
    link: Link,
    model: ReceiverModel,
  ) {
    this.#world = world;
    this.name = name;
    this.#folder = join(folder, `${name}-0`);
    this.#broker = broker;
    this.link = link;
    this.model = model;
    mkdirSync(this.#folder);
    const watch = broker.watch;
    broker.watch = (client, packet) => {
      watch(client, packet);
      if (client.actor === this.#actor && packet.topic.includes("/ack/"))
        world.trace(`acknowledges ${/"ep":.*/.exec(packet.payload.toString("utf8"))?.[0] ?? ""}`);
      if (packet.topic.includes("/ack/") && client.actor === this.#actor)
        model.acknowledges(JSON.parse(packet.payload.toString("utf8")) as Acknowledgement, this.path);
    };
  }

  get path(): string {
    return join(this.#folder, "receiver.db");
  }

  get isRunning(): boolean {
    return this.#actor?.alive === true;
  }

  start(): void {
    const world = this.#world;
    world.trace(`${this.name} starts (${++this.#starts})`);
    const actor = new Actor(this.name, newBox());
    this.#actor = actor;
    world.enter(actor, () => {
      try {
        this.receiver = new Receiver({ database: this.path });
      } catch (error) {
        world.trace(`${this.name} does not start: ${(error as Error).message}`);
        world.kill(actor);
        world.after(world.chaos, 5000, () => this.start());
        return;
      }
      this.model.opened(this.path, this.#wasSetBack);
      this.#wasSetBack = false;
      actor.turned = () => this.model.turned(this.path);
      this.#clients = [];
      new BrokerLink(this.receiver, {
        broker: "mqtt://simulated",
        city,
        name: this.name,
        makeLink: simulatedLink(world, this.#broker, this.link, (client) => {
          this.#clients = [...this.#clients.filter((one) => one.connected), client];
        }),
      }).open();
    });
  }

  /** What the receiver says of each period that any seal is for. */
  async certificates(): Promise<Certificate[]> {
    const { receiver } = this;
    if (receiver === undefined) return [];
    const found: Certificate[] = [];
    for (const { fromMs, toMs } of this.model.sealed()) {
      const asked = receiver.certificates(gatewayId, { fromMs, toMs }, 400);
      found.push(...(await asked).certificates);
    }
    return found;
  }

  kill(): void {
    const actor = this.#actor;
    if (actor?.alive !== true) return;
    this.#world.trace(`${this.name} is killed`);
    this.#world.kill(actor);
    this.receiver = undefined;
    for (const client of this.#clients) client.abandon(false);
    this.#moveTo(this.#folder);
  }

  /** A copy of the database as it stands, to go back to. */
  backUp(): void {
    if (this.#backup !== undefined) removeFolder(this.#backup);
    this.#backup = join(dirname(this.#folder), `${this.name}-backup`);
    copyFolder(this.#folder, this.#backup);
  }

  /** The administrator brings back the backup of earlier; only while it does not run. */
  setBack(): boolean {
    if (this.#backup === undefined) return false;
    this.#world.trace(`${this.name} is set back to its backup`);
    this.#moveTo(this.#backup);
    this.#wasSetBack = true;
    return true;
  }

  #moveTo(source: string): void {
    const left = this.#folder;
    this.#folder = left.replace(/-\d+$/, `-${Number(/\d+$/.exec(left)?.[0]) + 1}`);
    copyFolder(source, this.#folder);
    disks.connection(join(left, "receiver.db"))?.close();
    removeFolder(left);
  }
}

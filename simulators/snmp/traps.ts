import { seededRandom, type SimulatorOptions } from "../simulator.ts";
import { integer, oid, tags } from "./ber.ts";
import type { Engine } from "./engine.ts";
import { communityMessage, pduTypes, writePdu, writeTrapV1, type Varbind } from "./message.ts";
import { plain, valueOf, type Address } from "./points.ts";

type Told = number | string | boolean;
type SimulatedRecord = NonNullable<SimulatorOptions["records"]>[number];

interface Sending {
  device: {
    send(bytes: Uint8Array, port: number, address: string): void;
    after(ms: number, work: () => void): void;
    manners: Manners;
  };
  engine: Engine;
  version: number;
  host: string;
  seed: number;
  settings: {
    community?: string;
    notifications?: { address?: string; port?: number; community?: string };
  };
  records: readonly SimulatedRecord[];
}

interface Manners {
  readonly isMute: boolean;
  readonly fault: string | undefined;
  delayMs(): number;
}

const genericTraps = "1.3.6.1.6.3.1.1.5.";

/** Sends the records of a profile as traps of the device's SNMP version. */
export class TrapSender {
  readonly #sending: Sending;
  readonly #random: () => number;
  readonly #startedMs = performance.now();

  constructor(sending: Sending) {
    this.#sending = sending;
    this.#random = seededRandom(sending.seed);
  }

  /** One record of the profile, as a device tells it by itself. */
  tellOne(): void {
    const { records } = this.#sending;
    const record = records[Math.floor(this.#random() * records.length)];
    if (record !== undefined) this.tell(record.name, {});
  }

  tell(name: string, told: Record<string, Told>): void {
    const { records, settings, device, host } = this.#sending;
    const record = records.find((one) => one.name === name);
    if (record === undefined) throw new Error(`the simulated device has no record "${name}"`);
    const { notifications } = settings;
    if (notifications?.port === undefined || device.manners.isMute) return;
    const bytes =
      device.manners.fault === "garbage" ? Buffer.from("ffff00", "hex") : this.#trap(record, told);
    const { port, address = "127.0.0.1" } = notifications;
    const send = (): void => device.send(bytes, port, address === "0.0.0.0" ? host : address);
    const delayMs = device.manners.delayMs();
    if (delayMs === 0) send();
    else device.after(delayMs, send);
  }

  #trap(record: SimulatedRecord, told: Record<string, Told>): Buffer {
    const { version, host, engine, settings } = this.#sending;
    const community = settings.notifications?.community ?? settings.community ?? "public";
    const { notification = "" } = record.address as Address;
    const varbinds = record.fields.flatMap((field): Varbind[] => {
      const address = field.address as Address;
      if (address.oid === undefined) return [];
      const value = told[field.name] ?? field.fixed ?? field.typical?.[0] ?? 0;
      const raw =
        typeof value === "number"
          ? (value - field.offset) / field.scale
          : typeof value === "boolean"
            ? Number(value)
            : value;
      return [
        {
          oid: address.oid,
          value: address.type === "oid" ? plain("oid", String(raw)) : valueOf(address, raw),
        },
      ];
    });
    const ticks = Math.floor((performance.now() - this.#startedMs) / 10);
    if (version === 0)
      return communityMessage(
        0,
        community,
        writeTrapV1({ ...inV1(notification), agent: host, ticks, varbinds }),
      );
    const head: Varbind[] = [
      { oid: "1.3.6.1.2.1.1.3.0", value: integer(ticks, tags.ticks) },
      { oid: "1.3.6.1.6.3.1.1.4.1.0", value: oid(notification) },
    ];
    const id = Math.floor(this.#random() * 0x7fffffff);
    const pdu = writePdu({ type: pduTypes.trap, id, first: 0, second: 0, varbinds: [...head, ...varbinds] });
    return version === 3 ? engine.sealTrap(pdu) : communityMessage(1, community, pdu);
  }
}

/** A notification as a v1 trap names it: RFC 3584, 3.2. */
function inV1(notification: string): { enterprise: string; generic: number; specific: number } {
  const arcs = notification.split(".");
  const last = Number(arcs.pop());
  if (notification.startsWith(genericTraps) && last >= 1 && last <= 6)
    return { enterprise: "1.3.6.1.4.1.8072", generic: last - 1, specific: 0 };
  if (arcs.at(-1) === "0") arcs.pop();
  return { enterprise: arcs.join("."), generic: 6, specific: last };
}

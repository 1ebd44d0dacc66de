import { readFileSync } from "node:fs";
import { startBroker, type Broker } from "./broker.ts";

/** What a place asks of the devices that live behind its broker. */
export interface Resident {
  /** Takes the whole broker down, if all who live there do. */
  readonly isAway: "down" | "hanging-up" | undefined;
  /** The broker is there, for the first time or again. */
  arrived(): void;
  heard(topic: string, payload: Buffer): void;
}

export interface PlaceSettings {
  host?: string;
  port?: number;
  /** PEM files: of the broker, where the simulator is told so. */
  tls?: { ca?: string; cert?: string; key?: string };
  username?: string;
  password?: string;
}

const places = new Map<string, Place>();
let turn: Promise<unknown> = Promise.resolve();

/** Opening and closing take turns, so that two devices that start at once find the same broker. */
export function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  const result = turn.then(work);
  turn = result.catch(() => {});
  return result;
}

/** One broker with the pretend devices behind it. */
export class Place {
  readonly residents = new Set<Resident>();
  /** Zigbee2MQTT tells of all its devices in one list. */
  readonly zigbee = new Map<string, unknown>();
  readonly #settings: PlaceSettings;
  #port = 0;
  #broker: Broker | undefined;
  #isHangingUp = false;

  private constructor(settings: PlaceSettings) {
    this.#settings = settings;
  }

  /** The place that the settings name, opened if nobody lives there yet; port 0 takes a free one. */
  static async join(settings: PlaceSettings, resident: Resident): Promise<Place> {
    const wanted = `${settings.host ?? "127.0.0.1"}:${settings.port ?? 1883}`;
    const place = places.get(wanted) ?? new Place(settings);
    if (place.residents.size === 0) await place.#open();
    places.set(place.address, place);
    place.residents.add(resident);
    return place;
  }

  get address(): string {
    return `${this.#settings.host ?? "127.0.0.1"}:${this.#port}`;
  }

  async leave(resident: Resident): Promise<void> {
    if (!this.residents.delete(resident) || this.residents.size > 0) return;
    places.delete(this.address);
    await this.#close();
  }

  publish(topic: string, payload: string | Buffer, options: { qos: 0 | 1; retain: boolean }): void {
    this.#broker?.publish(topic, payload, options);
  }

  /** Brings the broker to where its devices want it. */
  reconcile(): void {
    const all = [...this.residents];
    const isDown = all.length > 0 && all.every(({ isAway }) => isAway === "down");
    const isHangingUp = all.length > 0 && all.every(({ isAway }) => isAway === "hanging-up");
    if (isHangingUp !== this.#isHangingUp) {
      this.#isHangingUp = isHangingUp;
      this.#broker?.fault(isHangingUp ? { kind: "refuse-connack", reasonCode: 0x88 } : undefined);
      if (isHangingUp) this.#broker?.fault({ kind: "drop-connections" });
    }
    void inTurn(async () => {
      if (isDown && this.#broker !== undefined) await this.#close();
      else if (!isDown && this.#broker === undefined && this.residents.size > 0) {
        await this.#open();
        for (const resident of this.residents) resident.arrived();
      }
    });
  }

  async #open(): Promise<void> {
    const { host = "127.0.0.1", port = 1883, tls, username, password } = this.#settings;
    const files =
      tls?.cert === undefined || tls.key === undefined
        ? {}
        : {
            tls: {
              cert: readFileSync(tls.cert),
              key: readFileSync(tls.key),
              ...(tls.ca === undefined ? {} : { ca: readFileSync(tls.ca), requestClientCertificate: true }),
            },
          };
    this.#broker = await startBroker({
      host,
      port: this.#port === 0 ? port : this.#port,
      ...files,
      ...(username === undefined || password === undefined ? {} : { users: { [username]: password } }),
      heard: (topic, payload) => {
        for (const resident of this.residents) resident.heard(topic, payload);
      },
    });
    this.#port = this.#broker.port;
  }

  async #close(): Promise<void> {
    const broker = this.#broker;
    this.#broker = undefined;
    broker?.fault({ kind: "drop-connections" });
    await broker?.close();
  }
}

import { join } from "node:path";
import type { Logger } from "pino";
import type { EventKind } from "./event.ts";
import { gap } from "./gaps.ts";
import type { DeviceReport, HostChange, HostDevice } from "./host/messages.ts";
import { Host, type QuarantineNews } from "./hosts.ts";

/** A device with the driver that runs it. */
export interface Hosted {
  driver: string;
  device: HostDevice;
}

/** Which devices stop, start, or go on at another pace; all others do not notice. */
export interface HostedChange {
  stop: readonly string[];
  start: readonly string[];
  pace: HostChange["pace"];
}

export interface HostGroupOptions {
  log: Logger;
  sealEveryMs: number;
  frames: (driver: string, stream: number, bytes: Uint8Array) => void;
  changed: (report: DeviceReport) => void;
  quarantined: (device: Pick<HostDevice, "id" | "index">, news: QuarantineNews | undefined) => void;
  /** The host of these devices has ended without having been asked to. */
  lost: (driver: string, devices: readonly string[], reason: string) => void;
  tell: (kind: EventKind, device: number, data: Record<string, unknown>) => void;
}

/** The hosts of a gateway, one for each driver that has devices. */
export class HostGroup {
  readonly #options: HostGroupOptions;
  readonly #hosts = new Map<string, Host>();
  /** Ids by driver. */
  readonly #ids = new Map<string, string[]>();
  #gatewayIndex = 0;
  #folder: string | undefined;

  constructor(options: HostGroupOptions) {
    this.#options = options;
  }

  get all(): Host[] {
    return [...this.#hosts.values()];
  }

  of(driver: string): Host | undefined {
    return this.#hosts.get(driver);
  }

  /** Drivers whose host is silent and could not be replaced. */
  get stuck(): string[] {
    return [...this.#hosts].flatMap(([driver, host]) => (host.isStuck ? [driver] : []));
  }

  /** `folder`: where drivers keep what outlives them; undefined: nothing can be kept. */
  start(devices: readonly Hosted[], gatewayIndex: number, folder: string | undefined): void {
    this.#gatewayIndex = gatewayIndex;
    this.#folder = folder;
    for (const [driver, group] of Map.groupBy(devices, (entry) => entry.driver))
      this.#startHost(
        driver,
        group.map(({ device }) => device),
      );
  }

  #startHost(driver: string, devices: HostDevice[]): void {
    const { log, sealEveryMs, frames, changed, quarantined, lost, tell } = this.#options;
    const gatewayIndex = this.#gatewayIndex;
    const ids = () => this.#ids.get(driver) ?? [];
    this.#name(driver, devices);
    const host = new Host({
      driver,
      ...(this.#folder === undefined ? {} : { folder: join(this.#folder, driver) }),
      devices,
      gatewayIndex,
      sealEveryMs,
      log,
      frames: (stream, bytes) => frames(driver, stream, bytes),
      changed,
      quarantined,
      failed: (reason) => {
        lost(driver, ids(), reason);
        tell("device-status", gatewayIndex, { state: "host-ended", driver, reason });
      },
      returned: (fromMs, reason) => {
        const details = { driver, reason, devices: ids() };
        tell("gap", gatewayIndex, gap("driver_error", fromMs, Date.now(), details));
      },
    });
    this.#hosts.set(driver, host);
    host.start();
  }

  #name(driver: string, devices: readonly HostDevice[]): void {
    this.#ids.set(
      driver,
      devices.map(({ id }) => id),
    );
  }

  /**
   * From here on these devices are run. First all that stops has stopped, so that what starts finds its ports free;
   * a host without devices ends, and one of a new driver starts.
   */
  async change(devices: readonly Hosted[], { stop, start, pace }: HostedChange): Promise<void> {
    const after = Map.groupBy(devices, (entry) => entry.driver);
    const none = { start: [], pace: [] };
    const stopping = [...this.#hosts].map(async ([driver, host]) => {
      const kept = (after.get(driver) ?? []).map(({ device }) => device);
      const own = stop.filter((id) => this.#ids.get(driver)?.includes(id));
      if (kept.length === 0) {
        this.#hosts.delete(driver);
        await host.stop();
      } else if (own.length > 0)
        await host.change(
          kept.filter(({ id }) => !start.includes(id)),
          { stop: own, ...none },
        );
    });
    await Promise.all(stopping);
    const starting = [...after].map(async ([driver, group]) => {
      const own = group.map(({ device }) => device);
      const host = this.#hosts.get(driver);
      if (host === undefined) return this.#startHost(driver, own);
      const ids = new Set(own.map(({ id }) => id));
      this.#name(driver, own);
      const fresh = own.filter(({ id }) => start.includes(id));
      const paced = pace.filter(({ device }) => ids.has(device));
      if (fresh.length + paced.length === 0) return;
      await host.change(own, { stop: [], start: fresh, pace: paced });
    });
    await Promise.all(starting);
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((host) => host.stop()));
    this.#hosts.clear();
  }
}

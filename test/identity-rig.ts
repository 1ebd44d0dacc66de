import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { EventReader } from "../gateway/event.ts";
import { DeviceLoop } from "../gateway/host/device.ts";
import { openHandover } from "../gateway/host/test-handover.ts";
import type { HostDevice, HostPoint } from "../gateway/host/messages.ts";
import { FrameSplitter } from "../gateway/outbox/frames.ts";
import { bare } from "../gateway/config/site-devices.ts";
import { loadProfile, mergeSettings, simulatedPoints } from "../gateway/profiles/profiles.ts";
import type { Simulator } from "../simulators/simulator.ts";
import { loadSubject, type Place, type Subject } from "./contract/contract.ts";

/** A device whose simulator may become another one, as its host runs it, with what leaves. */

interface Who {
  vendor?: string;
  model?: string;
  firmware?: string;
  serial?: string;
}

interface Told {
  /** Of the point's name. */
  point: string;
  quality: number;
  code: string | undefined;
}

export interface RunOptions {
  range?: string;
  serial?: string;
  identifyMs?: number;
  /** The profile's own, instead of two that tell old from new. */
  points?: HostPoint[];
}

/** A model with a point for old firmware and one for new, both polled. */
const splitAt = "2.0";

export class IdentityRig {
  readonly who: Who;
  readonly folder = mkdtempSync(join(tmpdir(), "kerb-identity-"));
  simulator!: Simulator;
  readonly #subject: Subject;
  readonly #profile: string;
  readonly #place: Place;
  readonly #more: Record<string, unknown>;
  readonly #loops: DeviceLoop[] = [];

  private constructor(
    subject: Subject,
    profile: string,
    place: Place,
    who: Who,
    more: Record<string, unknown>,
  ) {
    this.#subject = subject;
    this.#profile = profile;
    this.#place = place;
    this.who = who;
    this.#more = more;
  }

  static async open(
    driver: string,
    profile: string,
    who: Who,
    more: Record<string, unknown> = {},
  ): Promise<IdentityRig> {
    const subject = await loadSubject(driver);
    const transport = subject.table.transports[0];
    if (transport === undefined) throw new Error(`${driver} has no transport`);
    const rig = new IdentityRig(subject, profile, await transport.open(), { ...who }, more);
    const own = loadProfile(profile);
    rig.simulator = await subject.start({
      profile,
      points: simulatedPoints(own, who),
      settings: rig.#settings("simulator"),
      identity: rig.who,
      seed: 1,
    });
    return rig;
  }

  #settings(end: "driver" | "simulator"): Record<string, unknown> {
    const at = end === "simulator" ? undefined : this.simulator.address;
    const place = this.#place.settings({ end, device: 1, timeoutMs: 2000, at });
    return mergeSettings(loadProfile(this.#profile).settings, { ...place, ...this.#more });
  }

  /** The simulator becomes another device, from its next answer on. */
  become(who: Who): void {
    Object.assign(this.who, who);
    const { identify } = loadProfile(this.#profile);
    for (const key of ["vendor", "model", "firmware", "serial"] as const)
      if (identify[key] !== undefined && who[key] !== undefined)
        this.simulator.set(`identify.${key}`, who[key]);
  }

  /** Two points of the profile, one for firmware before 2.0 and one from there on. */
  #points(): HostPoint[] {
    const { points } = loadProfile(this.#profile);
    const two = points
      .filter(({ kind, publish, values }) => kind === "number" && publish && values === undefined)
      .toSorted((a, b) => Number(a.poll === "push") - Number(b.poll === "push"));
    // Raw, whatever the other points say of it.
    return [`<${splitAt}`, `>=${splitAt}`].map((when, index) => ({
      unit: "1",
      kind: "number",
      scale: 1,
      offset: 0,
      sentinels: [],
      heartbeat: 0,
      publish: true,
      name: index === 0 ? "old" : "fresh",
      index,
      address: this.#subject.schemas.address.parse(two[index]?.address),
      poll: "normal",
      when,
    }));
  }

  /** All points of the profile, as a host has them. */
  profilePoints(): HostPoint[] {
    return loadProfile(this.#profile).points.map((point, index) => ({
      ...bare(point),
      ...(point.derive === undefined ? { address: this.#subject.schemas.address.parse(point.address) } : {}),
      index,
    }));
  }

  #identify(): HostDevice["identify"] {
    const { identify } = loadProfile(this.#profile);
    // The common model is looked for, wherever it stands.
    if (this.#more["sunspec"] === true) return { standard: true, expect: [] };
    const parse = (address: unknown): unknown => this.#subject.schemas.address.parse(address);
    const fields = (["vendor", "model", "firmware", "serial"] as const).filter(
      (field) => identify[field] !== undefined,
    );
    return {
      standard: this.#subject.table.identify !== undefined && identify.firmware === undefined,
      ...Object.fromEntries(fields.map((field) => [field, parse(identify[field])])),
      expect: [],
    };
  }

  /** Runs the device as a host does, from its start. */
  run({ range = ">=1.0 <3.0", serial, identifyMs = 300, points = this.#points() }: RunOptions = {}) {
    const told: Told[] = [];
    const news: Record<string, unknown>[] = [];
    const splitter = new FrameSplitter();
    const reader = new EventReader();
    const stream = new PassThrough().on("data", (bytes: Buffer) => {
      for (const { body } of splitter.push(bytes)) {
        reader.open(body);
        if (reader.kind === "device-status") news.push(reader.object());
        while (reader.kind === "telemetry" && reader.next())
          told.push({
            point: points.find(({ index }) => index === reader.point)?.name ?? "",
            quality: reader.quality,
            code: reader.detail?.code,
          });
      }
    });
    const { driver } = this.#subject;
    let opens = 0;
    const counting: typeof driver = Object.create(driver, {
      connect: {
        value: (...given: Parameters<typeof driver.connect>) => (opens++, driver.connect(...given)),
      },
    });
    const loop = new DeviceLoop({
      driver: counting,
      line: undefined,
      phase: 1,
      handover: openHandover(stream),
      context: { deviceId: "one", folder: this.folder, log: () => {} },
      changed: () => {},
      device: {
        id: "one",
        index: 1,
        settings: this.#subject.schemas.settings.parse(this.#settings("driver")),
        identify: this.#identify(),
        firmwareRange: range,
        ...(serial === undefined ? {} : { serial }),
        identifyMs,
        records: [],
        silenceMs: 0,
        personalData: { how: "drop" },
        pollMs: { fast: 100, normal: 100, slow: 100 },
        points,
      },
    });
    this.#loops.push(loop);
    const ended = loop.run();
    const stop = async () => {
      await loop.stop();
      await ended;
    };
    return { loop, told, news, stop, opens: () => opens };
  }

  async close(): Promise<void> {
    for (const loop of this.#loops) await loop.stop();
    await this.simulator.close();
    await this.#place.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

import { WriteLog, type Simulator, type SimulatorOptions, type StartSimulator } from "../simulator.ts";
import type { AlarmNote } from "./alarm-board.ts";
import { Controller, type StatusAnswer } from "./controller.ts";
import { Site } from "./site.ts";
import { Subscriptions, type Subscription } from "./subscriptions.ts";
import { objectsOf, type Message } from "./wire.ts";

/** A device's settings as `drivers/rsmp/settings.ts` parses them, as far as a pretend site needs them. */
interface Settings {
  host?: string;
  port?: number;
  siteId?: string;
  component?: string;
  versions?: string[];
  sxl?: string[];
  watchdog?: number;
  reconnect?: number;
  tls?: { cert: string; key: string; ca?: string };
}

const defaultDelayMs = 2000;
const wrongClockMs = 7 * 3_600_000;
const tickMs = 250;
/** What a site keeps while nobody listens; the specification asks for at least so many. */
const bufferedMax = 10_000;
const allVersions = ["3.1.2", "3.1.3", "3.1.4", "3.1.5", "3.2.0", "3.2.1", "3.2.2"];

interface Buffered {
  type: string;
  body: Record<string, unknown>;
}
type Item = { sCI: string; n: string; uRt?: string; sOc?: boolean };

/** What makes an alarm event: its kind and time, of one alarm of one component. */
function eventOf({ cId, aCId, aSp, aTs }: Record<string, unknown>): string {
  return JSON.stringify([cId, aCId, aSp, aTs]);
}

/** A pretend traffic-light site: its controller, its subscriptions, its buffer. */
class TrafficLightSite {
  readonly site: Site;
  readonly siteId: string;
  readonly writes: WriteLog;
  readonly #options: SimulatorOptions;
  readonly #controller: Controller;
  readonly #subscriptions = new Subscriptions();
  readonly #buffer: Buffered[] = [];
  readonly #tick: NodeJS.Timeout;
  readonly #story: NodeJS.Timeout | undefined;
  #bits = "";
  #round = 0;

  constructor(options: SimulatorOptions) {
    const settings = options.settings as Settings;
    const { siteId = "KERB", host = "127.0.0.1", versions = allVersions } = settings;
    this.#options = options;
    this.siteId = siteId;
    const main = settings.component ?? siteId;
    this.#controller = new Controller(options, main, this.#sxl, () => this.now());
    const { ca } = settings.tls ?? {};
    this.site = new Site(
      {
        host: host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host,
        port: settings.port ?? 12_111,
        tls:
          settings.tls === undefined
            ? undefined
            : // A pretend site trusts the authority that kerb trusts, and has kerb's own certificate.
              { ca: ca ?? settings.tls.cert, ...(ca === undefined ? {} : settings.tls) },
        siteId,
        versions,
        sxl: () => this.#controller.sxl,
        reconnectMs: settings.reconnect ?? 10_000,
        watchdogMs: settings.watchdog ?? 60_000,
        seed: options.seed ?? 1,
        log: options.log ?? (() => undefined),
      },
      {
        ready: () => this.#introduce(),
        lost: () => undefined,
        request: (message) => this.#serve(message),
        now: () => this.now(),
      },
    );
    this.writes = new WriteLog(this.site.counts);
    this.#tick = setInterval(() => this.#onTick(), tickMs);
    const { recordEveryMs = 0, records = [] } = options;
    if (recordEveryMs > 0 && records.length > 0)
      this.#story = setInterval(
        () => this.tell(records[this.#round++ % records.length]?.name ?? ""),
        recordEveryMs,
      );
    this.site.call();
  }

  now(): number {
    return Date.now() - (this.site?.fault === "clockWrong" ? wrongClockMs : 0);
  }

  /** The version of the SXL: the firmware, where the settings allow it. */
  get #sxl(): string {
    const { sxl = [] } = this.#options.settings as Settings;
    const { firmware } = this.#options.identity;
    const isAllowed = firmware !== undefined && (sxl.length === 0 || sxl.includes(firmware));
    return (isAllowed ? firmware : sxl.at(-1)) ?? "1.2.1";
  }

  get #time(): string {
    return new Date(this.now()).toISOString();
  }

  /** Everything's state after the handshake, then what was buffered, oldest first. */
  #introduce(): void {
    this.site.tell("AggregatedStatus", this.#aggregated());
    const told = new Set<string>();
    for (const note of this.#controller.board.all()) {
      told.add(eventOf(note));
      this.site.tell("Alarm", note);
    }
    // An alarm event that has just been told is not told again.
    for (const { type, body } of this.#buffer.splice(0))
      if (type !== "Alarm" || !told.has(eventOf(body))) this.site.tell(type, body);
  }

  #say(type: string, body: Record<string, unknown>): void {
    if (this.site.isReady) {
      this.site.tell(type, body);
      return;
    }
    if (this.#buffer.length >= bufferedMax) this.#buffer.shift();
    this.#buffer.push({ type, body });
  }

  #aggregated(): Record<string, unknown> {
    const bits = this.#controller.bits();
    this.#bits = bits.join();
    const se = this.site.version === "3.1.2" ? bits.map(String) : bits;
    return { ntsOId: "", xNId: "", cId: this.#controller.main, aSTS: this.#time, fP: null, fS: null, se };
  }

  #onTick(): void {
    if (this.#sxl !== this.#controller.sxl) {
      // Who has a new one starts anew, and says so in its next call.
      this.#controller.become(this.#sxl);
      this.#subscriptions.clear();
      this.site.hangUp();
    }
    const due = this.#subscriptions.due(this.now(), (one) => JSON.stringify(this.#answer(one)));
    this.#update(due);
    if (this.#controller.bits().join() !== this.#bits) this.#say("AggregatedStatus", this.#aggregated());
  }

  #answer({ component, code, name }: Pick<Subscription, "component" | "code" | "name">): StatusAnswer {
    return this.#controller.status(component, code, name);
  }

  #update(subscriptions: readonly Subscription[]): void {
    for (const [component, list] of Map.groupBy(subscriptions, (one) => one.component)) {
      const sS = list.flatMap((one) => {
        const answer = this.#answer(one);
        one.told = JSON.stringify(answer);
        if (answer === "mismatch") return [];
        const q = answer.q === "recent" && !this.site.isReady ? "old" : answer.q;
        return [{ sCI: one.code, n: one.name, s: answer.s, q }];
      });
      if (sS.length > 0)
        this.#say("StatusUpdate", { ntsOId: "", xNId: "", cId: component, sTs: this.#time, sS });
    }
  }

  set(name: string, value: number | string | undefined): void {
    const key = this.#controller.set(name, value);
    if (key === "se") return this.#say("AggregatedStatus", this.#aggregated());
    const subscription = this.#subscriptions.get(key ?? "");
    // Whoever pins a value wants to see it told, also when it is the same as before.
    if (subscription !== undefined) this.#update([subscription]);
  }

  #serve(message: Message): void {
    const component = String(message["cId"]);
    switch (message.type) {
      case "StatusRequest":
      case "StatusSubscribe":
      case "StatusUnsubscribe":
        return this.#serveStatus(message, component);
      case "AggregatedStatusRequest":
        if (component !== this.#controller.main)
          return this.site.acknowledge(message, `${component} has no aggregated status`);
        this.site.acknowledge(message);
        this.site.tell("AggregatedStatus", this.#aggregated());
        return;
      case "CommandRequest":
        return this.#serveCommand(message, component);
      case "Alarm":
        return this.#serveAlarm(message, component);
    }
  }

  #serveStatus(message: Message, component: string): void {
    const items = objectsOf<Item>(message["sS"]).map(({ sCI, n, ...more }) => ({
      sCI: String(sCI),
      n: String(n),
      ...more,
    }));
    const answers = items.map(({ sCI, n }) => this.#controller.status(component, sCI, n));
    const wrong = answers.indexOf("mismatch");
    if (wrong >= 0 || items.length === 0) {
      const { sCI, n } = items[wrong] ?? { sCI: "sS", n: "is empty" };
      return this.site.acknowledge(message, `unknown status: ${sCI} ${n}`);
    }
    if (message.type === "StatusSubscribe") return this.#subscribe(message, component, items);
    this.site.acknowledge(message);
    if (message.type === "StatusUnsubscribe") {
      for (const { sCI, n } of items) this.#subscriptions.remove(this.#controller.keyOf(component, sCI, n));
      return;
    }
    const sS = items.map(({ sCI, n }, i) => ({ sCI, n, ...(answers[i] as object) }));
    this.site.tell("StatusResponse", { ntsOId: "", xNId: "", cId: component, sTs: this.#time, sS });
  }

  #subscribe(message: Message, component: string, items: readonly Item[]): void {
    const hasSoc = this.site.version >= "3.1.5";
    if (hasSoc && items.some(({ uRt, sOc }) => Number(uRt) === 0 && sOc !== true))
      return this.site.acknowledge(message, "uRt 0 and sOc false: nothing would be told");
    const strange = items.find(({ uRt }) => typeof uRt !== "string" || !/^\d+(\.\d+)?$/.test(uRt));
    if (strange !== undefined)
      return this.site.acknowledge(message, `uRt of ${strange.sCI} ${strange.n} is no number of seconds`);
    this.site.acknowledge(message);
    const fresh: Subscription[] = [];
    const sS: object[] = [];
    for (const { sCI, n, uRt, sOc } of items) {
      const key = this.#controller.keyOf(component, sCI, n);
      const answer = this.#controller.status(component, sCI, n);
      if (answer !== "mismatch" && answer.q !== "recent") {
        // Not subscribed: the answer says why.
        sS.push({ sCI, n, s: null, q: answer.q });
        continue;
      }
      const rateMs = Number(uRt) * 1000;
      const wanted = {
        component,
        code: sCI,
        name: n,
        rateMs,
        onChange: hasSoc ? sOc === true : rateMs === 0,
      };
      const isNew = this.#subscriptions.add(key, wanted, this.now());
      const subscription = this.#subscriptions.get(key);
      if (isNew && subscription !== undefined) fresh.push(subscription);
    }
    if (sS.length > 0)
      this.site.tell("StatusUpdate", { ntsOId: "", xNId: "", cId: component, sTs: this.#time, sS });
    this.#update(fresh);
  }

  #serveCommand(message: Message, component: string): void {
    const args = objectsOf<Record<"cCI" | "n" | "v", string>>(message["arg"]).map(({ cCI, n, v }) => ({
      cCI: String(cCI),
      n: String(n),
      v: String(v),
    }));
    const rvs = args.length === 0 ? "arg is empty" : this.#controller.command(component, args);
    const what = args.map(({ cCI, n, v }) => `${cCI} ${n} = ${v}`).join(", ");
    this.writes.add(`${component}: ${what}`, typeof rvs !== "string");
    if (typeof rvs === "string") return this.site.acknowledge(message, rvs);
    this.site.acknowledge(message);
    this.site.tell("CommandResponse", { ntsOId: "", xNId: "", cId: component, cTS: this.#time, rvs });
  }

  #serveAlarm(message: Message, component: string): void {
    const { board } = this.#controller;
    const code = String(message["aCId"]);
    if (!board.isKnown(code)) return this.site.acknowledge(message, `unknown alarm code: ${code}`);
    if (!board.has(component, code))
      return this.site.acknowledge(message, `${component} cannot have the alarm ${code}`);
    const answers: Record<string, () => AlarmNote> = {
      acknowledge: () => board.acknowledge(component, code),
      suspend: () => board.suspend(component, code, true),
      resume: () => board.suspend(component, code, false),
      request: () => board.request(component, code),
    };
    const answer = answers[String(message["aSp"]).toLowerCase()];
    if (answer === undefined)
      return this.site.acknowledge(message, `aSp ${String(message["aSp"])} is not for a site`);
    this.site.acknowledge(message);
    this.site.tell("Alarm", answer());
  }

  tell(record: string, values: Record<string, number | string | boolean> = {}): void {
    const found = this.#options.records?.find(({ name }) => name === record);
    const address = found?.address as { alarm?: string; component?: string } | undefined;
    if (found === undefined || address?.alarm === undefined) return;
    const given = new Map<string, string>();
    const fields: Record<string, string> = {};
    for (const field of found.fields) {
      const value = values[field.name];
      if (value === undefined) continue;
      const text = typeof value === "boolean" ? (value ? "True" : "False") : String(value);
      const at = field.address as { field?: string; argument?: string };
      if (at.field !== undefined) fields[at.field] = text;
      else if (at.argument !== undefined) given.set(at.argument, text);
    }
    const is = (name: string): boolean | undefined =>
      fields[name] === undefined ? undefined : fields[name] === "True";
    const acknowledged = is("acknowledged");
    const suspended = is("suspended");
    const note = this.#controller.board.raise(
      fields["component"] ?? address.component ?? this.#controller.componentFor(address.alarm),
      address.alarm,
      {
        active: is("active") ?? this.#round % 2 === 0,
        ...(acknowledged === undefined ? {} : { acknowledged }),
        ...(suspended === undefined ? {} : { suspended }),
        ...(fields["externalCode"] === undefined ? {} : { externalCode: fields["externalCode"] }),
      },
      given,
    );
    if (note !== undefined) this.#say("Alarm", note);
  }

  fault(fault: Parameters<Simulator["fault"]>[0], delayMs = defaultDelayMs): void {
    // Subscriptions do not outlive the device's own restart.
    if (fault === "restart") this.#subscriptions.clear();
    this.site.raise(fault, delayMs);
  }

  async close(): Promise<void> {
    clearInterval(this.#tick);
    clearInterval(this.#story);
    await this.site.close();
  }
}

/**
 * Starts a pretend traffic-light site that calls `settings.host` and `settings.port`, where kerb listens, and calls
 * again whenever the connection is lost. It never rejects: a supervisor that is not there yet is called again.
 */
export const start: StartSimulator = (options) => {
  const running = new TrafficLightSite(options);
  const { host = "127.0.0.1", port = 12_111 } = options.settings as Settings;
  return Promise.resolve({
    address: `${host}:${port} site ${running.siteId}`,
    counts: running.site.counts,
    writes: running.writes,
    set: (point, value) => running.set(point, value),
    tell: (record, values) => running.tell(record, values),
    fault: (fault, delayMs) => running.fault(fault, delayMs),
    close: () => running.close(),
  });
};

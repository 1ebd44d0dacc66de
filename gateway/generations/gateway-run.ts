import type { Logger } from "pino";
import type { Site } from "../config/config.ts";
import type { Vitals } from "../health/watchdog.ts";
import type { HostedChange } from "../host-group.ts";
import type { Pulse } from "../outbox/outbox.ts";
import { type GatewayStatus, Supervisor } from "../supervisor.ts";
import { Twinning } from "../twin/twinning.ts";
import type { ConfigDesk } from "./desk.ts";
import type { LiveGateway } from "./engine.ts";

interface Endpoint {
  stop(): void;
}

/** A gateway whose supervisor may be stopped and started anew while its process, its watchdog and its log go on. */
export class GatewayRun implements LiveGateway, Vitals {
  readonly #log: Logger;
  readonly #fatal: (error: Error) => void;
  #config: ConfigDesk | undefined;
  #supervisor: Supervisor | undefined;
  #endpoint: Endpoint | undefined;
  #twin: Twinning | undefined;
  #isStopping = false;
  /** Not up yet, and no restart has made it give way. */
  #starting: Supervisor | undefined;
  /** Ends when the gateway runs (again). */
  #up: Promise<void> = Promise.resolve();

  constructor(log: Logger, fatal: (error: Error) => void) {
    this.#log = log;
    this.#fatal = fatal;
  }

  /** Resolves when it runs; a restart that was asked for meanwhile is over then, too. */
  async start(site: Site, config: ConfigDesk): Promise<void> {
    this.#config = config;
    const done = this.#begin(site);
    const up = (this.#up = done.catch(() => {}));
    try {
      await done;
    } catch (error) {
      // A restart takes its place.
      if (this.#up === up) throw error;
    }
    await this.#up;
  }

  async #begin(site: Site): Promise<void> {
    const supervisor = new Supervisor(site, this.#log, (error) => this.#fatal(error), this.#config);
    this.#supervisor = this.#starting = supervisor;
    const failure = await supervisor.start().then(
      () => undefined,
      (error: Error) => error,
    );
    if (this.#starting !== supervisor) throw failure ?? new Error("it has given way to another start");
    this.#starting = undefined;
    if (failure !== undefined) throw failure;
    if (this.#isStopping) return;
    const endpoint = await openEndpoint(site, supervisor, this.#log);
    if (this.#isStopping) {
      endpoint?.stop();
      return;
    }
    this.#endpoint = endpoint;
    await this.#beginTwin(site, supervisor);
  }

  async #beginTwin(site: Site, supervisor: Supervisor): Promise<void> {
    if (this.#config === undefined) return;
    this.#twin = new Twinning(site, {
      log: this.#log,
      config: this.#config,
      lanes: () => [...supervisor.uplinks.values()].map(({ twin }) => twin),
      record: async (happening) => supervisor.orders.record(happening),
      tell: (data) => supervisor.tell(data),
    });
    await this.#twin.start();
  }

  async change(site: Site, steps: HostedChange): Promise<void> {
    await this.#running.change(site, steps);
    await this.#twin?.renew(site);
  }

  /** One restart after another; a start that hangs on its disk gives way to the next. */
  restart(site: Site): Promise<void> {
    void this.#starting?.stop().catch(() => {});
    this.#starting = undefined;
    const done = this.#up.then(() => this.#restart(site));
    this.#up = done.catch(() => {});
    return done;
  }

  async #restart(site: Site): Promise<void> {
    if (this.#isStopping) return;
    await this.#end();
    this.#log.level = site.log.level;
    if (!this.#isStopping) await this.#begin(site);
  }

  async #end(): Promise<void> {
    this.#endpoint?.stop();
    this.#endpoint = undefined;
    await this.#twin?.close();
    this.#twin = undefined;
    await this.#supervisor?.stop();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#end();
  }

  get #running(): Supervisor {
    if (this.#supervisor === undefined) throw new Error("the gateway is still starting");
    return this.#supervisor;
  }

  async status(): Promise<GatewayStatus> {
    return this.#running.status();
  }

  tell(data: Record<string, unknown>): void {
    this.#supervisor?.tell(data);
  }

  fatal(error: Error): void {
    this.#fatal(error);
  }

  /** Over a restart the question stays open: the outbox in between answers no one. */
  async pulse(): Promise<Pulse> {
    const asked = this.#running;
    try {
      return await asked.pulse();
    } catch (error) {
      await this.#up;
      if (this.#supervisor === asked) throw error;
      return this.pulse();
    }
  }

  stuckHosts(): string[] {
    return this.#supervisor?.stuckHosts() ?? [];
  }

  summary(): string {
    return this.#supervisor?.summary() ?? "starting";
  }
}

async function openEndpoint(
  { health }: Site,
  supervisor: Supervisor,
  log: Logger,
): Promise<Endpoint | undefined> {
  if (health === undefined) return undefined;
  const { HealthEndpoint } = await import("../health/http.ts");
  const endpoint = new HealthEndpoint({
    ...health,
    status: () => supervisor.status(),
    accounts: () => supervisor.accounts(),
    log,
  });
  endpoint.start();
  return endpoint;
}

import Database from "better-sqlite3";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ask } from "../../gateway/control/control.ts";
import type { KerbEvent } from "../../gateway/event.ts";
import type { GatewayStatus } from "../../gateway/supervisor.ts";
import { processTree } from "../bench/measure.ts";
import { until } from "../bench/processes.ts";
import { freePort } from "../ports.ts";
import { LinkProxy } from "../bench/proxy.ts";
import { CounterDevice } from "./counter-device.ts";
import { freeze, LoopDisk } from "./loop-disk.ts";

export const pollMs = 100;
const kerb = fileURLToPath(new URL("../../gateway/kerb", import.meta.url));

export type ProgramName = "broker" | "receiver" | "gateway";

/** Devices, a gateway with its state on a disk of its own, a link, a broker and a receiver; any of it can be broken. */
export class ExactnessRig {
  readonly #folder = mkdtempSync(join(tmpdir(), "kerb-exactness-"));
  readonly #disk = new LoopDisk();
  readonly #state = join(this.#disk.folder, "state");
  readonly devices = ["dev-01", "dev-02", "dev-03", "dev-04"].map((id) => new CounterDevice(id));
  readonly #programs = new Map<ProgramName, ChildProcess>();
  /** Base of each epoch that the gateway has begun: its file remembers the newest only. */
  readonly #bases = new Map<number, number>();
  /** The last lines of every program. */
  readonly log: string[] = [];
  #link: LinkProxy | undefined;
  #brokerPort = 0;
  #apiPort = 0;

  async start(): Promise<void> {
    mkdirSync(this.#state);
    this.#brokerPort = await freePort();
    this.#apiPort = await freePort();
    const configuration = `listener ${this.#brokerPort} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n`;
    writeFileSync(join(this.#folder, "mosquitto.conf"), configuration);
    this.#link = new LinkProxy(this.#brokerPort);
    await this.#link.open();
    await Promise.all(this.devices.map((device) => device.start()));
    const ports = this.devices.map(({ port }) => port);
    const point = { address: { table: "holding", register: 0, type: "uint32" } };
    const site = {
      version: 1,
      gateway: { id: "chaos-gw", name: "Chaos", city: "chaos", state: this.#state },
      uplinks: [
        {
          id: "ioc",
          type: "mqtt",
          url: `mqtt://127.0.0.1:${this.#link.port}`,
          reconnectMax: "1s",
          resendAfter: "5s",
        },
      ],
      devices: this.devices.map(({ id }, i) => ({
        id,
        driver: "modbus",
        transport: { type: "tcp", host: "127.0.0.1", port: ports[i] },
        functions: [3],
        poll: `${pollMs}ms`,
        points: { count: point },
      })),
    };
    // JSON is YAML.
    writeFileSync(join(this.#folder, "site.yaml"), JSON.stringify(site));
    for (const name of ["broker", "receiver", "gateway"] as const) this.launch(name);
    await until("the first delivery", 30_000, async () =>
      ((await this.status())?.outbox.books.live.delivered ?? 0) > 0 ? true : undefined,
    );
  }

  #command(name: ProgramName): [string, string[]] {
    const file = (own: string) => join(this.#folder, own);
    if (name === "broker") return ["mosquitto", ["-c", file("mosquitto.conf")]];
    if (name === "gateway") return [kerb, ["run", file("site.yaml")]];
    const link = ["--broker", `mqtt://127.0.0.1:${this.#brokerPort}`, "--city", "chaos", "--name", "ioc"];
    const own = [
      "--database",
      file("receiver.db"),
      "--listen",
      `127.0.0.1:${this.#apiPort}`,
      "--ack-interval",
      "1s",
    ];
    return [kerb, ["receive", ...link, ...own]];
  }

  launch(name: ProgramName): void {
    const [command, args] = this.#command(name);
    // A group of its own, so that a power cut takes the gateway's hosts too.
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    const keep = (bytes: Buffer) => {
      this.log.push(`${name}: ${bytes.toString().trimEnd()}`);
      if (this.log.length > 500) this.log.splice(0, 250);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("exit", (code, signal) => this.log.push(`${name} (${child.pid}) ended: ${signal ?? code}`));
    this.#programs.set(name, child);
  }

  /** kill -9 of one process; a gateway's hosts are left to find out for themselves. */
  async kill(name: ProgramName): Promise<void> {
    await this.#end(name);
    if (name === "gateway") this.#noteEpochs();
  }

  async #end(name: ProgramName): Promise<void> {
    const child = this.#programs.get(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  /** kill -9 of the gateway's host; false when there was none to kill. */
  async killHost(): Promise<boolean> {
    const pid = (await this.status())?.hosts[0]?.pid;
    if (pid === undefined) return false;
    try {
      process.kill(pid, "SIGKILL");
      return true;
    } catch {
      return false;
    }
  }

  /** The box of the gateway loses its power: what was not synced to its disk is gone. */
  async cutPower(): Promise<void> {
    const pid = this.#programs.get("gateway")?.pid ?? 0;
    const tree = processTree(pid);
    for (const one of tree) await freeze(one).catch(() => {});
    this.#disk.cutPower();
    for (const one of tree) {
      try {
        process.kill(one, "SIGKILL");
      } catch {
        // It had ended before.
      }
    }
    await this.#end("gateway");
    await until("the disk to be let go", 10_000, () => {
      try {
        this.#disk.remount();
        return true;
      } catch {
        return undefined;
      }
    });
    this.#noteEpochs();
  }

  /** Breaks the link between gateway and broker, or heals it. */
  async setLink(state: "pass" | "refuse" | "black-hole"): Promise<void> {
    await this.#link?.set(state);
  }

  async status(): Promise<GatewayStatus | undefined> {
    try {
      const signal = AbortSignal.timeout(5000);
      for await (const answer of ask(join(this.#state, "kerb.sock"), { verb: "status" }, signal))
        return answer as GatewayStatus;
    } catch {
      // Killed a moment ago; the caller asks again.
    }
    return undefined;
  }

  /** The gateway's own file, while no gateway runs. */
  #query<Row>(sql: string): Row[] {
    const database = new Database(join(this.#state, "outbox.db"), { readonly: true });
    try {
      return database.prepare(sql).all() as Row[];
    } finally {
      database.close();
    }
  }

  #noteEpochs(): void {
    type Row = { epoch: number; base: number };
    for (const { epoch, base } of this.#query<Row>("SELECT epoch, base FROM epoch"))
      this.#bases.set(epoch, base);
  }

  /** Every number that was accepted, as [epoch, seq], with its row's id; and the ids of rows still kept. */
  accepted(): { numbers: { epoch: number; seq: number; id: number }[]; kept: Set<number> } {
    this.#noteEpochs();
    const last =
      this.#query<{ seq: number }>("SELECT seq FROM sqlite_sequence WHERE name = 'event'")[0]?.seq ?? 0;
    const kept = new Set(this.#query<{ id: number }>("SELECT id FROM event").map(({ id }) => id));
    const epochs = [...this.#bases]
      .map(([epoch, base]) => ({ epoch, base }))
      .sort((a, b) => a.epoch - b.epoch);
    const numbers = epochs.flatMap(({ epoch, base }, i) => {
      const end = epochs[i + 1]?.base ?? last;
      return Array.from({ length: end - base }, (_, k) => ({ epoch, seq: k + 1, id: base + k + 1 }));
    });
    return { numbers, kept };
  }

  /** Everything that the receiver holds; undefined while it does not answer. */
  async received(): Promise<KerbEvent[] | undefined> {
    const events: KerbEvent[] = [];
    let cursor = { epoch: 0, after: 0 };
    try {
      for (;;) {
        const url = `http://127.0.0.1:${this.#apiPort}/gateways/chaos-gw/events?epoch=${cursor.epoch}&after=${cursor.after}&limit=1000`;
        const page = (await (await fetch(url)).json()) as { events: KerbEvent[]; next: typeof cursor | null };
        events.push(...page.events);
        if (page.next === null) return events;
        cursor = page.next;
      }
    } catch {
      return undefined;
    }
  }

  async close(): Promise<void> {
    for (const device of this.devices) device.stop();
    for (const child of this.#programs.values()) {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, "exit");
      process.kill(-child.pid, "SIGKILL");
      await ended;
    }
    await this.#link?.close();
    await until("the disk to be let go", 10_000, () => {
      try {
        this.#disk.close();
        return true;
      } catch {
        return undefined;
      }
    });
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

import type { Actor, World } from "./world.ts";

/**
 * The network between a process and the broker. A stalled link holds what is on its way, as TCP does, and hands it
 * over when it heals; only a cut loses it. Both ends learn of a cut, neither of a stall.
 */

export class Link {
  readonly world: World;
  readonly name: string;
  latencyMs = 20;
  bytesPerSecond = Infinity;
  /** Nothing gets through, and nobody is told. */
  stalled = false;
  /** Nobody listens. */
  refused = false;
  readonly wires = new Set<Wire>();
  readonly random: () => number;

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.random = world.random(`link ${name}`);
  }

  stall(): void {
    this.stalled = true;
    for (const wire of this.wires) wire.stalled();
  }

  /** The link works again; with `reset` the connections of before are gone. */
  heal(reset: boolean): void {
    this.stalled = false;
    this.refused = false;
    if (reset) this.cut();
    else for (const wire of this.wires) wire.resume();
  }

  cut(): void {
    for (const wire of this.wires) wire.reset();
  }
}

/** What one end of a wire does when the other end or the network is gone. */
interface End {
  actor: Actor;
  keepaliveMs: number;
  closed(reason: string): void;
}

/** One TCP connection. */
export class Wire {
  readonly #link: Link;
  readonly #ends: Record<"client" | "broker", End>;
  readonly #open = { client: true, broker: true };
  readonly #lastAtMs = { client: 0, broker: 0 };
  readonly #busyUntilMs = { client: 0, broker: 0 };
  #held: { to: "client" | "broker"; work: () => void }[] = [];

  constructor(link: Link, client: End, broker: End) {
    this.#link = link;
    this.#ends = { client, broker };
    link.wires.add(this);
  }

  /** Sends `bytes` bytes to one end; `work` is their arrival. */
  send(to: "client" | "broker", bytes: number, work: () => void): void {
    const { world, latencyMs, bytesPerSecond, random } = this.#link;
    const { nowMs } = world;
    if (!this.#open[to === "client" ? "broker" : "client"]) return;
    this.#busyUntilMs[to] = Math.max(this.#busyUntilMs[to], nowMs) + (bytes * 1000) / bytesPerSecond;
    const at = this.#busyUntilMs[to] + latencyMs * (0.5 + random());
    this.#lastAtMs[to] = Math.max(this.#lastAtMs[to], at);
    this.#arrive(to, this.#lastAtMs[to] - nowMs, work);
  }

  #arrive(to: "client" | "broker", afterMs: number, work: () => void): void {
    const { world } = this.#link;
    world.after(this.#ends[to].actor, afterMs, () => {
      if (!this.#open[to]) return;
      if (this.#link.stalled || this.#held.some((one) => one.to === to)) this.#held.push({ to, work });
      else work();
    });
  }

  resume(): void {
    const held = this.#held;
    this.#held = [];
    for (const { to, work } of held) this.#arrive(to, this.#link.latencyMs, work);
  }

  /** Keep-alive of either end finds out in its own time. */
  stalled(): void {
    const { world } = this.#link;
    for (const side of ["client", "broker"] as const) {
      const { actor, keepaliveMs } = this.#ends[side];
      world.after(actor, keepaliveMs * 1.5, () => {
        if (this.#link.stalled) this.close(side, "keepalive timeout");
      });
    }
  }

  /** One end closes; the other hears of it after what was sent before. */
  close(side: "client" | "broker", reason: string): void {
    if (!this.#open[side]) return;
    const other = side === "client" ? "broker" : "client";
    this.send(other, 40, () => this.#end(other, "the peer closed the connection"));
    this.#end(side, reason);
  }

  /** The process at one end has died; its kernel may still say so. */
  abandon(side: "client" | "broker", silently: boolean): void {
    if (!silently) this.send(side === "client" ? "broker" : "client", 40, () => this.reset());
    else if (side === "client") {
      const { actor, keepaliveMs } = this.#ends.broker;
      this.#link.world.after(actor, keepaliveMs * 1.5, () => this.#end("broker", "keepalive timeout"));
    }
    this.#open[side] = false;
    this.#forget();
  }

  reset(): void {
    const { world } = this.#link;
    for (const side of ["client", "broker"] as const) {
      world.after(this.#ends[side].actor, 0, () => this.#end(side, "ECONNRESET"));
    }
  }

  #end(side: "client" | "broker", reason: string): void {
    if (!this.#open[side]) return;
    this.#open[side] = false;
    this.#forget();
    this.#ends[side].closed(reason);
  }

  #forget(): void {
    if (!this.#open.client && !this.#open.broker) this.#link.wires.delete(this);
  }
}

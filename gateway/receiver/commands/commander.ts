import type { KeyObject } from "node:crypto";
import type { MqttClient } from "mqtt";
import type { Command } from "../../commands/command.ts";
import { type CommandStage, type CommandState, isFinal } from "../../commands/state.ts";
import { DeniedError, IssuerLink, type IssuerLinkOptions } from "../issuer-link.ts";
import { makeCommand, type Wanted } from "./make.ts";
import { parseState } from "./states.ts";

export interface FollowOptions {
  /** Each state as it comes, also what a repeat brings. */
  heard?: (state: CommandState) => void;
  /** How long after its `notAfter` an answer is waited for. */
  graceMs?: number;
  /** Ends the waiting; the command itself goes on. */
  signal?: AbortSignal;
}

/**
 * What became of a command as far as was heard. unanswered: nothing came, so either it never arrived and is dead by
 * now, or its answers are lost; a rejection whose last state is `unsigned` is no more than that. unknown: nobody can say
 * whether it was written, or no end was heard of.
 */
export interface Followed {
  state: CommandStage | "unanswered";
  /** The last state that was heard. */
  last: CommandState | undefined;
  states: CommandState[];
  /** How often it was sent. */
  sent: number;
}

const graceMsDefault = 30_000;
/** Whoever is refused by his signature hears it at once, and it is the end so long after the command's time. */
const unsignedGraceMs = 2000;

/** One command that is followed. */
class Case {
  readonly command: Command;
  readonly options: FollowOptions;
  readonly states: CommandState[] = [];
  sent = 0;
  readonly ended = Promise.withResolvers<Followed>();
  #timer: NodeJS.Timeout | undefined;

  constructor(command: Command, options: FollowOptions) {
    this.command = command;
    this.options = options;
  }

  take(state: CommandState): void {
    if (state.dev !== this.command.dev) return;
    const isKnown = this.states.some(({ unsigned }) => unsigned !== true);
    // Somebody else's command with the same id does not end this one.
    if (state.state === "rejected" && isKnown) return;
    if (state.unsigned === true && this.states.length > 0) return;
    this.states.push(state);
    this.options.heard?.(state);
    if (state.unsigned === true) this.#refused();
    else if (isFinal(state)) this.end();
  }

  /** By somebody who cannot tell whether it was ours that he has seen: the end when our time is over. */
  #refused(): void {
    const leftMs = Math.max(0, this.command.notAfter - Date.now()) + unsignedGraceMs;
    this.#timer = setTimeout(() => {
      if (this.states.every(({ unsigned }) => unsigned === true)) this.end();
    }, leftMs);
  }

  /** With what is known by now. */
  end(): void {
    clearTimeout(this.#timer);
    const { states, sent } = this;
    const last = states.at(-1);
    const state = last === undefined ? "unanswered" : isFinal(last) ? last.state : "unknown";
    this.ended.resolve({ state, last, states, sent });
  }
}

/**
 * Sends commands and follows each to its end. A command is sent again, the same bytes under the same id, when the
 * gateway or the broker was away, until its time is over: the gateway executes it once.
 */
export class Commander {
  readonly #city: string;
  readonly #link: IssuerLink;
  readonly #cases = new Map<string, Case>();
  /** Gateways that are commanded: settles when their answers are heard. */
  readonly #gateways = new Map<string, Promise<void> | undefined>();

  constructor(options: IssuerLinkOptions) {
    this.#city = options.city;
    this.#link = new IssuerLink(options, "command", {
      opened: (client) => this.#opened(client),
      message: (topic, payload, { retain }) => this.#heard(topic, payload, retain),
    });
  }

  /** Begins to connect, and goes on until `close`. */
  open(): void {
    this.#link.open();
  }

  /** Ends the following of all that is under way, and the connection. */
  async close(): Promise<void> {
    for (const one of this.#cases.values()) one.end();
    await this.#link.close();
  }

  /** Sends a signed command and follows it to its final state. Never rejects. */
  async follow(command: Command, options: FollowOptions = {}): Promise<Followed> {
    const { graceMs = graceMsDefault, signal } = options;
    const one = new Case(command, options);
    this.#cases.set(command.id, one);
    const end = () => one.end();
    const timer = setTimeout(end, Math.max(0, command.notAfter - Date.now()) + graceMs);
    signal?.addEventListener("abort", end);
    if (signal?.aborted === true) end();
    void this.#send(one);
    const followed = await one.ended.promise;
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
    this.#cases.delete(command.id);
    return followed;
  }

  /** Makes, signs, sends and follows a command; where a gateway asks for its nonce, once more with that. */
  async execute(wanted: Wanted, key: KeyObject, options: FollowOptions = {}): Promise<Followed> {
    const first = await this.follow(makeCommand(wanted, key), options);
    const { nonce } = first.last ?? {};
    if (first.state !== "rejected" || nonce === undefined || wanted.nonce !== undefined) return first;
    const { id: _, ...anew } = wanted;
    return this.follow(makeCommand({ ...anew, nonce }, key), options);
  }

  /**
   * In two steps: arms, then commits what was armed. `second`: who commits where two people are asked for. What an arm
   * that failed has brought is the result.
   */
  async armAndCommit(
    wanted: Wanted,
    key: KeyObject,
    options: FollowOptions = {},
    second: { by: string; key: KeyObject } = { by: wanted.by, key },
  ): Promise<Followed> {
    const { id: _, ...both } = wanted;
    const armed = await this.execute({ ...both, mode: "arm" }, key, options);
    const arm = armed.last?.arm;
    if (armed.state !== "done" || arm === undefined) return armed;
    return this.execute({ ...both, mode: "commit", arm, by: second.by }, second.key, options);
  }

  #opened(client: MqttClient): void {
    for (const gateway of this.#gateways.keys()) void this.#subscribe(client, gateway);
    // What was sent before the connection broke may not have arrived.
    for (const one of this.#cases.values()) void this.#send(one);
  }

  #subscribe(client: MqttClient, gateway: string): Promise<void> {
    const topics = [`${this.#city}/rsp/v1/${gateway}/+`, `${this.#city}/st/v1/${gateway}`];
    const subscribed = this.#link.subscribe(client, topics, `the answers of ${gateway}`);
    subscribed.catch(() => {});
    this.#gateways.set(gateway, subscribed);
    return subscribed;
  }

  /** Only when its answers would be heard, and only while it may still be executed. */
  async #send(one: Case): Promise<void> {
    const { command } = one;
    const { client } = this.#link;
    if (client === undefined) return void this.#gateways.set(command.gw, undefined);
    try {
      await (this.#gateways.get(command.gw) ?? this.#subscribe(client, command.gw));
    } catch (error) {
      // Without answers a command is not sent; a connection that broke over it comes back.
      return error instanceof DeniedError ? one.end() : undefined;
    }
    const leftMs = command.notAfter - Date.now();
    if (client !== this.#link.client || leftMs <= 0 || this.#cases.get(command.id) !== one) return;
    one.sent++;
    const properties = {
      responseTopic: `${this.#city}/rsp/v1/${command.gw}/${command.id}`,
      correlationData: Buffer.from(command.id),
      messageExpiryInterval: Math.max(1, Math.ceil(leftMs / 1000)),
    };
    const topic = `${this.#city}/cmd/v1/${command.gw}/${command.dev}`;
    this.#link.publish(client, topic, command, { properties }, `a command to ${command.gw}`);
  }

  #heard(topic: string, payload: Buffer, retain: boolean): void {
    const [, kind, , gateway = ""] = topic.split("/");
    if (kind === "st" && !retain) this.#told(gateway, payload);
    // An answer that the broker has kept is no answer to what is sent now.
    const state = kind === "rsp" && !retain ? parseState(gateway, payload) : undefined;
    const one = state === undefined ? undefined : this.#cases.get(state.id);
    if (state !== undefined && one?.command.gw === gateway) one.take(state);
  }

  /** A gateway that is born anew may not have heard what was sent before. */
  #told(gateway: string, payload: Buffer): void {
    try {
      if ((JSON.parse(payload.toString("utf8")) as { online?: unknown } | null)?.online !== true) return;
    } catch {
      return;
    }
    for (const one of this.#cases.values()) if (one.command.gw === gateway) void this.#send(one);
  }
}

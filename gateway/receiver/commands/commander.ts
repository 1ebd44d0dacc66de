import { randomBytes, type KeyObject } from "node:crypto";
import type { MqttClient } from "mqtt";
import type { Command } from "../../commands/command.ts";
import { type CommandStage, type CommandState, isFinal } from "../../commands/state.ts";
import { mqttLink, type Link, type LinkOptions, type MakeLink } from "../../mqtt/link.ts";
import { makeCommand, type Wanted } from "./make.ts";
import { parseState } from "./states.ts";

export interface CommanderOptions {
  /** mqtt://host:1883 or mqtts://host:8883. */
  broker: string;
  city: string;
  protocol?: 5 | "3.1.1";
  username?: string | undefined;
  password?: string | undefined;
  tls?: LinkOptions["tls"];
  /** What is said of the connection, one sentence each. */
  log?: (text: string) => void;
  makeLink?: MakeLink;
}

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
const keepaliveMs = 20_000;
const retryFirstMs = 250;
const retryMaxMs = 5000;

class DeniedError extends Error {}

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
  readonly #options: CommanderOptions;
  readonly #link: Link;
  readonly #cases = new Map<string, Case>();
  /** Gateways that are commanded: settles when their answers are heard. */
  readonly #gateways = new Map<string, Promise<void> | undefined>();
  #said: string | undefined;

  constructor(options: CommanderOptions) {
    this.#options = options;
    const { broker, protocol = 5, username, password, tls, city } = options;
    this.#link = (options.makeLink ?? mqttLink)(
      {
        url: broker,
        protocol,
        clientId: `kerb-command-${city}-${randomBytes(6).toString("hex")}`,
        keepaliveMs,
        username,
        password,
        tls,
        retryFirstMs,
        retryMaxMs,
        spreadMs: () => 0,
      },
      {
        prepare: () => ({ clean: true }),
        opened: (client) => this.#opened(client),
        message: (topic, payload, { retain }) => this.#heard(topic, payload, retain),
        ended: ({ reason }) => this.#say(`no connection to ${broker}: ${reason}; trying again`),
      },
    );
  }

  /** Begins to connect, and goes on until `close`. */
  open(): void {
    this.#link.start();
  }

  /** Ends the following of all that is under way, and the connection. */
  async close(): Promise<void> {
    for (const one of this.#cases.values()) one.end();
    const { client } = this.#link;
    await client?.endAsync().catch(() => {});
    this.#link.stop();
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

  #say(text: string): void {
    if (text === this.#said) return;
    this.#said = text;
    this.#options.log?.(text);
  }

  #opened(client: MqttClient): void {
    this.#said = undefined;
    for (const gateway of this.#gateways.keys()) void this.#subscribe(client, gateway);
    // What was sent before the connection broke may not have arrived.
    for (const one of this.#cases.values()) void this.#send(one);
  }

  #subscribe(client: MqttClient, gateway: string): Promise<void> {
    const { city } = this.#options;
    const subscribed = client
      .subscribeAsync([`${city}/rsp/v1/${gateway}/+`, `${city}/st/v1/${gateway}`], { qos: 1 })
      .then((grants) => {
        if (!grants.some(({ qos }) => qos >= 128)) return;
        throw new DeniedError(`the broker denies the subscription to the answers of ${gateway}`);
      });
    subscribed.catch((error: Error) => this.#say(error.message));
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
    const topic = `${this.#options.city}/cmd/v1/${command.gw}/${command.dev}`;
    const properties = {
      contentType: "application/json",
      responseTopic: `${this.#options.city}/rsp/v1/${command.gw}/${command.id}`,
      correlationData: Buffer.from(command.id),
      messageExpiryInterval: Math.max(1, Math.ceil(leftMs / 1000)),
    };
    const five = (this.#options.protocol ?? 5) === 5;
    client.publish(topic, JSON.stringify(command), { qos: 1, ...(five ? { properties } : {}) }, (error) => {
      const { code } = (error ?? {}) as { code?: unknown };
      if (error && typeof code === "number")
        this.#say(`the broker refused a command to ${command.gw}: ${error.message}`);
    });
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

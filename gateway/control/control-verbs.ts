import { dirname } from "node:path";
import type { Commanding } from "../commands/commanding.ts";
import type { ControlRequest } from "./control.ts";
import { answerConfig } from "../generations/answers.ts";
import type { ConfigDesk } from "../generations/desk.ts";
import type { HostRequest, LatestReading } from "../host/messages.ts";
import { printable } from "../printable.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { signAsked } from "../report/asked.ts";
import type { Tails } from "./tails.ts";
import { followTest } from "../uplink/upstream-test.ts";

/** What the verbs of the control socket need of a running gateway. */
export interface Answering {
  status(): Promise<{ gateway: { id: string; city: string }; devices: readonly { id: string }[] }>;
  books(): Promise<unknown>;
  readings(device: string, read?: { points: string[]; raw: boolean }): Promise<LatestReading[]>;
  everyReading(): Promise<Record<string, LatestReading[]>>;
  ask(device: string, request: HostRequest, timeoutMs?: number): Promise<unknown>;
  retryRefused(): Promise<number>;
  readonly orders: Commanding;
  readonly configuring: ConfigDesk;
  readonly tails: Tails;
  /** In the state folder. */
  readonly socketPath: string;
  /** The outbox; throws while it is not open. */
  readonly opened: Outbox;
  /** Dictionary index of the gateway itself. */
  readonly self: number;
}

async function signOwn(gateway: Answering, args: Record<string, unknown>): Promise<unknown> {
  const { gateway: own, devices } = await gateway.status();
  const stateFolder = dirname(gateway.socketPath);
  const about = { stateFolder, gateway: own.id, city: own.city, devices: devices.map(({ id }) => id) };
  return signAsked(about, args);
}

/** Answers one request of the control socket; throws for a verb that it does not know. */
export async function* answer(
  gateway: Answering,
  { verb, args = {} }: ControlRequest,
  signal: AbortSignal,
): AsyncGenerator {
  const device = typeof args["device"] === "string" ? args["device"] : "";
  if (verb === "ping") yield true;
  else if (verb === "status") yield await gateway.status();
  else if (verb === "books") yield await gateway.books();
  else if (verb === "gaps") yield await gateway.opened.request("gaps", Number(args["sinceMs"] ?? -Infinity));
  else if (verb === "latest")
    yield await (args["device"] === undefined ? gateway.everyReading() : gateway.readings(device));
  else if (verb === "read") {
    const points = Array.isArray(args["points"]) ? args["points"].map(String) : [];
    yield await gateway.readings(device, { points, raw: args["raw"] === true });
  } else if (verb === "identify")
    yield await gateway.ask(device, { name: "identify", device, accept: args["accept"] === true });
  else if (verb === "write") yield* gateway.orders.write(args, signal);
  else if (verb === "write-preview") yield await gateway.orders.preview(args);
  else if (verb === "tail") yield* gateway.tails.follow(signal);
  else if (verb === "sign-report") yield await signOwn(gateway, args);
  else if (verb === "upstream-test") yield* followTest(gateway.opened, gateway.tails, gateway.self, signal);
  else if (verb === "retry-refused") yield await gateway.retryRefused();
  else if (verb.startsWith("config-")) yield await answerConfig(gateway.configuring, verb, args);
  else throw new Error(`unknown verb "${printable(verb.slice(0, 40))}"`);
}

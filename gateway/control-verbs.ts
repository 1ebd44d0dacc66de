import type { Commanding } from "./commands/commanding.ts";
import type { ControlRequest } from "./control.ts";
import type { HostRequest, LatestReading } from "./host/messages.ts";
import type { Tails } from "./tails.ts";

/** What the verbs of the control socket need of a running gateway. */
export interface Answering {
  status(): Promise<unknown>;
  books(): Promise<unknown>;
  readings(device: string, read?: { points: string[]; raw: boolean }): Promise<LatestReading[]>;
  everyReading(): Promise<Record<string, LatestReading[]>>;
  ask(device: string, request: HostRequest, timeoutMs?: number): Promise<unknown>;
  retryRefused(): Promise<number>;
  readonly orders: Commanding;
  readonly tails: Tails;
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
  else if (verb === "retry-refused") yield await gateway.retryRefused();
  else throw new Error(`unknown verb "${verb}"`);
}

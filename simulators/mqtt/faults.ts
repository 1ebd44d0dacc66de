import { matchesFilter } from "./topics.ts";

/**
 * What may go wrong with the broker. The first six stand until the next call of `fault`; "forget" and
 * "drop-connections" happen once and leave a standing fault alone. `filter` narrows a fault to some topics;
 * `reasonCode` is MQTT 5's and is translated for 3.1.1.
 */
export type BrokerFault =
  | SwallowPuback
  | PublishRefusal
  | Poison
  | { readonly kind: "stall" }
  | { readonly kind: "refuse-connack"; readonly reasonCode: number }
  | { readonly kind: "forget"; readonly retained?: boolean }
  | { readonly kind: "drop-connections" };

/** Takes each PUBLISH of QoS 1 and 2 and delivers it, but never acknowledges. */
interface SwallowPuback {
  readonly kind: "swallow-puback";
  readonly filter?: string;
}

/**
 * Drops each PUBLISH. "quota" answers 0x97 and "deny" 0x87; MQTT 3.1.1 has no code, so there both answer a normal
 * PUBACK, as brokers with an ACL do.
 */
interface PublishRefusal {
  readonly kind: "quota" | "deny";
  readonly filter?: string;
}

/** Refuses the PUBLISHes that match: with `reasonCode` in the PUBACK, without one by hanging up. */
interface Poison {
  readonly kind: "poison";
  readonly matches: (topic: string, payload: Buffer) => boolean;
  readonly reasonCode?: number;
}

/** What the standing fault makes of a PUBLISH: the reason code, what to do instead, or undefined for nothing. */
export function publishFault(
  fault: BrokerFault | undefined,
  topic: string,
  payload: string | Buffer,
): number | "swallow" | "hang-up" | undefined {
  if (fault?.kind === "poison")
    return fault.matches(topic, Buffer.from(payload)) ? (fault.reasonCode ?? "hang-up") : undefined;
  if (fault?.kind !== "swallow-puback" && fault?.kind !== "quota" && fault?.kind !== "deny") return undefined;
  if (fault.filter !== undefined && !matchesFilter(fault.filter, topic)) return undefined;
  if (fault.kind === "swallow-puback") return "swallow";
  return fault.kind === "quota" ? 0x97 : 0x87;
}

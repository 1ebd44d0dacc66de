import { randomUUID } from "node:crypto";
import { kindOf, type Packet } from "./packets.ts";

/** Statuses of an RSMP site, for a profile that asks for others together than the recorded one did. */

interface Status {
  sCI: string;
  n: string;
}
type Message = Record<string, unknown> & { cId?: unknown; sS?: unknown };

const statusesOf = ({ sS }: Message): Status[] =>
  Array.isArray(sS) ? sS.filter((one): one is Status => typeof one === "object" && one !== null) : [];
const nameOf = ({ cId }: Message, { sCI, n }: Status): string => `${String(cId)} ${sCI} ${n}`;

/** What the site would have said to such a request: each status as it told it last, or that it has none of it. */
export function statusAnswer(live: Pick<Packet, "value">, packets: readonly Packet[]): string | undefined {
  if (kindOf(live) !== "StatusRequest") return undefined;
  const known = new Map<string, Status>();
  for (const { from, value } of packets) {
    if (from !== "device") continue;
    for (const one of statusesOf(value as Message)) known.set(nameOf(value as Message, one), one);
  }
  const { mId, cId, ...rest } = live.value as Message;
  const sS = statusesOf(rest).map(({ sCI, n }) => {
    return known.get(nameOf({ cId }, { sCI, n })) ?? { sCI, n, s: null, q: "undefined" };
  });
  const head = { mType: "rSMsg", type: "StatusResponse", mId: randomUUID(), ntsOId: "", xNId: "" };
  const messages = [
    { mType: "rSMsg", type: "MessageAck", oMId: mId },
    { ...head, cId, sTs: new Date().toISOString(), sS },
  ];
  return messages.map((one) => `${JSON.stringify(one)}\f`).join("");
}

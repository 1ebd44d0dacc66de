import { randomUUID } from "node:crypto";
import type { Json } from "./codec.ts";

interface Status {
  sCI: string;
  n: string;
}

const statusesOf = ({ sS }: Json): Status[] =>
  Array.isArray(sS) ? sS.filter((one): one is Status => typeof one === "object" && one !== null) : [];
const nameOf = ({ cId }: Json, { sCI, n }: Status): string => `${String(cId)} ${sCI} ${n}`;

/**
 * What a recorded site would have said to a request for other statuses together than it was asked for then: each as
 * it `told` it last, or that it has none of it. undefined: the request is another one.
 */
export function retold(request: Json, told: readonly Json[]): Json[] | undefined {
  if (request["type"] !== "StatusRequest") return undefined;
  const known = new Map<string, Status>();
  for (const message of told) for (const one of statusesOf(message)) known.set(nameOf(message, one), one);
  const { mId, cId, ...rest } = request;
  const sS = statusesOf(rest).map(({ sCI, n }) => {
    return known.get(nameOf({ cId }, { sCI, n })) ?? { sCI, n, s: null, q: "undefined" };
  });
  const head = { mType: "rSMsg", type: "StatusResponse", mId: randomUUID(), ntsOId: "", xNId: "" };
  return [
    { mType: "rSMsg", type: "MessageAck", oMId: mId },
    { ...head, cId, sTs: new Date().toISOString(), sS },
  ];
}

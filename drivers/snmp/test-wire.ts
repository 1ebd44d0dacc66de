import { afterEach } from "vitest";
import {
  answerTo,
  connectTo,
  int,
  patient,
  pointsOf,
  readRequest,
  scriptedAgent,
  settingsOf,
  type Script,
} from "./testing.ts";

/** A connection to an agent that answers as a test says. */

export const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

export async function setUp(script: Script, more: Record<string, unknown> = {}) {
  const agent = await scriptedAgent(script);
  const connection = await connectTo(settingsOf(agent.port, more));
  open.push(agent, connection);
  return { agent, connection };
}

export const oids = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ oid: `1.3.6.1.4.1.9.${i}`, type: "number" }));
export const signal = patient();
/** The last arc of each asked object. */
export const asked = (datagram: Buffer): number[] =>
  readRequest(datagram).varbinds.map(({ oid }) => oid.at(-1)!);
export const good = (datagram: Buffer): Buffer =>
  answerTo(readRequest(datagram), { values: asked(datagram).map((arc) => int(100 + arc)) });

export const point = (more: Record<string, unknown>) => pointsOf({ oid: "1.3.6.1.4.1.9.1", ...more })[0]!;

export const whole = (answer: Buffer): Buffer => answer;

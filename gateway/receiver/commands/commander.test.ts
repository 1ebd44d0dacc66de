import type { MqttClient } from "mqtt";
import { expect, it } from "vitest";
import { startBroker } from "../../cli/simulate/broker.ts";
import type { CommandState } from "../../commands/state.ts";
import type { LinkEvents, Link } from "../../mqtt/link.ts";
import { Commander } from "./commander.ts";
import { issuerKeyOf, makeCommand, newIssuerKey } from "./make.ts";

const key = issuerKeyOf(newIssuerKey().pem);

/** A broker that takes everything, and from which a gateway answers as it is told. */
function brokered(ending = Promise.resolve()) {
  const sent: string[] = [];
  const client = {
    subscribeAsync: () => Promise.resolve([]),
    publish: (topic: string) => sent.push(topic),
    endAsync: () => ending,
  } as unknown as MqttClient;
  let heard: LinkEvents["message"] | undefined;
  const commander = new Commander({
    broker: "mqtt://ioc",
    city: "hcmc",
    makeLink: (_, events) => {
      heard = events.message?.bind(events);
      return { client, start: () => {}, stop: () => {} } as unknown as Link;
    },
  });
  const answer = (of: { id: string }, state: CommandState["state"], more: Partial<CommandState> = {}) => {
    const told: CommandState = { v: 1, id: of.id, gw: "gw-1", dev: "light-01", state, at: 1, ...more };
    const topic = `hcmc/rsp/v1/gw-1/${of.id}`;
    heard?.(topic, Buffer.from(JSON.stringify(told)), { retain: false } as Parameters<typeof heard>[2]);
  };
  return { commander, answer, sent };
}

const wanted = {
  gateway: "gw-1",
  device: "light-01",
  args: { dim: 40 },
  by: "an@ioc",
  role: "lights",
};
const unsigned = { code: "KERB-CMD-SIGNATURE", unsigned: true } as const;

it("is not told the end of a command by a refusal of another's", async () => {
  const { commander, answer, sent } = brokered();
  const command = makeCommand(wanted, key);
  const following = commander.follow(command);
  await expect.poll(() => sent).toHaveLength(1);
  answer(command, "rejected", unsigned);
  answer(command, "accepted");
  answer(command, "rejected", unsigned);
  answer(command, "done");
  const { state, states } = await following;
  expect([state, states.length]).toEqual(["done", 3]);
});

it("ends with a refusal that nobody has signed only when the command is dead", async () => {
  const { commander, answer, sent } = brokered();
  const command = makeCommand({ ...wanted, lifeMs: 500 }, key);
  const following = commander.follow(command);
  await expect.poll(() => sent).toHaveLength(1);
  answer(command, "rejected", unsigned);
  const { state, last } = await following;
  expect([state, last?.code]).toEqual(["rejected", "KERB-CMD-SIGNATURE"]);
  expect(Date.now()).toBeGreaterThan(command.notAfter);
});

it("is told the end by a refusal of its own, also after one of another's", async () => {
  const { commander, answer, sent } = brokered();
  const command = makeCommand(wanted, key);
  const following = commander.follow(command);
  await expect.poll(() => sent).toHaveLength(1);
  answer(command, "rejected", unsigned);
  answer(command, "rejected", { code: "KERB-CMD-RATE" });
  expect((await following).last?.code).toBe("KERB-CMD-RATE");
});

it("ends at once where the broker lets nobody hear the answers, and says so", async () => {
  const broker = await startBroker({ port: 0 });
  const said: string[] = [];
  // The broker has no shared subscriptions.
  const city = "$share/ioc";
  const commander = new Commander({ broker: broker.url, city, log: (text) => said.push(text) });
  try {
    commander.open();
    const { state, sent } = await commander.follow(makeCommand({ ...wanted, lifeMs: 60_000 }, key));
    expect([state, sent]).toEqual(["unanswered", 0]);
    expect(said).toEqual(["the broker denies the subscription to the answers of gw-1"]);
  } finally {
    await commander.close();
    await broker.close();
  }
});

it("says nothing of a connection that it has closed itself", async () => {
  const [said, sent]: [string[], string[]] = [[], []];
  const broker = await startBroker({ port: 0, heard: (topic) => sent.push(topic) });
  const commander = new Commander({ broker: broker.url, city: "hcmc", log: (text) => said.push(text) });
  const ending = new AbortController();
  try {
    commander.open();
    const following = commander.follow(makeCommand(wanted, key), { signal: ending.signal });
    await expect.poll(() => sent).toHaveLength(1);
    ending.abort();
    await following;
    await commander.close();
    expect(said).toEqual([]);
  } finally {
    await broker.close();
  }
});

it("closes also where the broker has fallen silent over a command", async () => {
  const { commander } = brokered(new Promise(() => {}));
  await expect(commander.close()).resolves.toBe(undefined);
});

import type { MqttClient } from "mqtt";
import { expect, it } from "vitest";
import { NamesakeWatch } from "./namesake.ts";

const topic = "hcmc/st/v1/gw-1";
const retained = { retain: true };

/** What a broker is asked; `answer` is its SUBACK, or what became of the connection. */
function asked(): { client: MqttClient; topics: string[]; answer: (error: Error | null) => void } {
  const topics: string[] = [];
  let done: ((error: Error | null) => void) | undefined;
  const client = {
    subscribe(map: Record<string, unknown>, callback: (error: Error | null) => void) {
      topics.push(...Object.keys(map));
      done = callback;
    },
  } as unknown as MqttClient;
  return { client, topics, answer: (error) => done?.(error) };
}

const birth = (ep: number) => Buffer.from(JSON.stringify({ v: 1, online: true, sess: 4, ep }));

it("asks for its own birth only after a session of this run was hung up on, once for each time", () => {
  const watch = new NamesakeWatch(topic, 100);
  const broker = asked();
  watch.ended(true);
  watch.opened(broker.client);
  expect(broker.topics, "what is retained may be of the run before").toEqual([]);
  watch.born();
  watch.opened(broker.client);
  expect(broker.topics).toEqual([]);
  watch.ended(true);
  watch.opened(broker.client);
  expect(broker.topics).toEqual([topic]);
  broker.answer(null);
  watch.opened(broker.client);
  expect(broker.topics).toEqual([topic]);
  watch.ended(true);
  watch.opened(broker.client);
  expect(broker.topics).toEqual([topic, topic]);
});

it("does not ask a broker that was away meanwhile: it may be back with births of an earlier run", () => {
  const watch = new NamesakeWatch(topic, 100);
  const broker = asked();
  watch.born();
  watch.ended(true);
  watch.ended(false);
  watch.opened(broker.client);
  expect(broker.topics).toEqual([]);
});

it("does not ask again a broker that hangs up on the question", () => {
  const watch = new NamesakeWatch(topic, 100);
  const broker = asked();
  watch.born();
  for (let i = 0; i < 3; i++) {
    watch.ended(true);
    watch.opened(broker.client);
    broker.answer(new Error("Connection closed"));
  }
  expect(broker.topics).toEqual([topic]);
  broker.answer(Object.assign(new Error("Not authorized"), { packet: { granted: [0x87] } }));
  watch.ended(true);
  watch.opened(broker.client);
  expect(broker.topics).toEqual([topic, topic]);
});

it("knows a retained birth of another epoch, and no other", () => {
  const watch = new NamesakeWatch(topic, 100);
  expect(watch.received(topic, birth(101), retained)).toBe(true);
  expect(watch.received(topic, birth(100), retained)).toBe(false);
  expect(watch.received(topic, birth(101), { retain: false })).toBe(false);
  expect(watch.received(topic, Buffer.from('{"v":1,"online":false}'), retained)).toBe(false);
  expect(watch.received(topic, Buffer.from("nonsense"), retained)).toBe(false);
  expect(watch.received("hcmc/ack/v1/gw-1", birth(101), retained)).toBeUndefined();
});

import { createSocket } from "node:dgram";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Answer } from "../../gateway/driver.ts";
import { address } from "./settings.ts";
import { connectTo, freePort, patient, pointsOf, scriptedAgent, settingsOf, tlv, tlvs } from "./testing.ts";

/** Captured messages: what the driver sends must be the request but for its id, and the answer must mean the values. */

const folder = new URL("frames/", import.meta.url);
const files = readdirSync(folder);

function frame(file: string): Record<string, string> {
  const lines = readFileSync(new URL(file, folder), "utf8").split("\n");
  return Object.fromEntries(
    lines.flatMap((line) => {
      const [, key, value] = /^([a-z]+): (.*)$/.exec(line) ?? [];
      return key === undefined || value === undefined ? [] : [[key, value]];
    }),
  );
}

/** A message of v1 or v2c with another request id. */
function withId(message: Buffer, id: Uint8Array): Buffer {
  const [version, community, pdu] = tlvs(tlvs(message)[0]!.body);
  const [, ...rest] = tlvs(pdu!.body);
  const parts = rest.map(({ tag, body }) => tlv(tag, body));
  return tlv(0x30, tlv(2, version!.body), tlv(4, community!.body), tlv(pdu!.tag, tlv(2, id), ...parts));
}

const idOf = (message: Buffer): Buffer => tlvs(tlvs(tlvs(message)[0]!.body)[2]!.body)[0]!.body;
const shown = (answer: Answer | undefined): unknown => {
  const value = typeof answer === "object" ? (answer.code ?? answer.value) : answer;
  return typeof value === "bigint" ? String(value) : value;
};

test.each(files.filter((file) => frame(file)["request"] !== undefined))("%s", async (file) => {
  const { settings = "{}", points = "[]", request = "", answer = "", values = "" } = frame(file);
  const [asked, answered] = [Buffer.from(request, "hex"), Buffer.from(answer, "hex")];
  const agent = await scriptedAgent((datagram, reply) => reply(withId(answered, idOf(datagram))));
  const connection = await connectTo(settingsOf(agent.port, JSON.parse(settings) as Record<string, unknown>));
  const wanted = pointsOf(...(JSON.parse(points) as Record<string, unknown>[]));
  const { answers } = await connection.read(wanted, { signal: patient() });
  expect(answers.map(shown)).toEqual(JSON.parse(values));
  expect(withId(agent.requests[0]!, idOf(asked)).toString("hex")).toBe(request);
  expect(agent.requests).toHaveLength(1);
  await connection.close();
  await agent.close();
});

test.each(files.filter((file) => frame(file)["message"] !== undefined))("%s", async (file) => {
  const { settings = "{}", points = "[]", notification, message = "", values = "" } = frame(file);
  const port = await freePort();
  const own = JSON.parse(settings) as Record<string, unknown>;
  const connection = await connectTo(
    settingsOf(9, { ...own, notifications: { address: "127.0.0.1", port } }),
  );
  const heard: unknown[] = [];
  const record = {
    name: "record",
    address: address.parse({ notification }),
    fields: pointsOf(...(JSON.parse(points) as Record<string, unknown>[])),
  };
  const stopping = new AbortController();
  const done = connection.subscribe!({
    points: [],
    records: [record],
    signal: stopping.signal,
    sink: {
      alive: () => {},
      readings: () => {},
      poll: () => {},
      record: (_, answers) => heard.push(answers.map(shown)),
    },
  });
  const socket = createSocket("udp4");
  for (let i = 0; i < 100 && heard.length === 0; i++) {
    socket.send(Buffer.from(message, "hex"), port, "127.0.0.1");
    await sleep(20);
  }
  socket.close();
  expect(heard[0]).toEqual(JSON.parse(values));
  stopping.abort();
  await done;
  await connection.close();
});

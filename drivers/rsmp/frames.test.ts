import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PacketReader, parsePacket, type Json } from "./codec.ts";
import { readMessage, readVersion } from "./messages.ts";

/** The messages under `frames/`, as packets in one stream, and what they say. */

const folder = new URL("frames/", import.meta.url);

function messagesOf(file: string): Json[] {
  const lines = readFileSync(new URL(file, folder), "utf8").split("\n").slice(1, -1);
  const messages: Json[] = [];
  const reader = new PacketReader(100_000);
  const stream = Buffer.from(lines.map((line) => `${line}\f`).join(""));
  reader.push(stream, (packet) => messages.push(parsePacket(packet)));
  expect(messages).toHaveLength(lines.length);
  return messages;
}

test("a site's first words", () => {
  const [version, ...rest] = messagesOf("handshake.txt");
  expect(readVersion(version!)).toEqual({
    id: "6f968141-4de5-42ff-8032-45f8093762c5",
    versions: ["3.1.1", "3.1.2"],
    siteIds: ["O+14439=481WA001"],
    sxl: "1.0.13",
  });
  const [watchdog, aggregated] = rest.map((message) =>
    readMessage(message, String(message["type"]), "3.2.2"),
  );
  expect(watchdog).toEqual({ kind: "watchdog", timeMs: Date.UTC(2015, 5, 8, 12, 1, 39, 654) });
  expect(aggregated).toMatchObject({
    kind: "aggregated",
    position: null,
    bits: [true, ...Array(7).fill(false)],
  });
});

test("a status update", () => {
  const [update] = messagesOf("status-update.txt");
  expect(readMessage(update!, "StatusUpdate", "3.2.2")).toMatchObject({
    component: "O+14439=481WA001",
    values: [{ code: "S0001", name: "signalgroupstatus", value: "A021BC01", quality: "recent" }, {}, {}, {}],
  });
});

test("an alarm's life", () => {
  const states = messagesOf("alarm-life.txt").map((message) => readMessage(message, "Alarm", "3.2.2"));
  expect(
    states.map(
      (state) =>
        "kind" in state &&
        state.kind === "alarm" && [state.event, state.active, state.acknowledged, state.suspended],
    ),
  ).toEqual([
    ["Issue", true, false, false],
    ["Acknowledge", true, true, false],
    ["Suspend", true, true, true],
    ["Suspend", true, true, false],
    ["Issue", false, true, false],
  ]);
});

test("the answer to a command", () => {
  const [response] = messagesOf("command-response.txt");
  expect(readMessage(response!, "CommandResponse", "3.2.2")).toMatchObject({
    kind: "command",
    values: [{ code: "M0001", name: "status", value: "YellowFlash", quality: "recent" }, {}, {}, {}],
  });
});

test("no frame is without its test", () => {
  expect(readdirSync(folder).toSorted()).toEqual([
    "alarm-life.txt",
    "command-response.txt",
    "handshake.txt",
    "status-update.txt",
  ]);
});

import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { messagesIn } from "../../drivers/opcua/testing.ts";
import {
  loadProfile,
  mergeSettings,
  simulatedPoints,
  simulatedRecords,
} from "../../gateway/profiles/profiles.ts";
import { start, type OpcuaSimulator } from "../../simulators/opcua/index.ts";
import { address, type Address } from "../../drivers/opcua/settings.ts";
import type { Connection } from "../../gateway/driver.ts";
import {
  at,
  connectTo,
  Heard,
  kept,
  listen,
  patient,
  pointsOf,
  settingsOf,
  startServer,
  until,
} from "./opcua-rig.ts";
import { programPath, runProgram } from "./processes.ts";

/** What goes over the wire, seen by a foreign decoder: tshark's OPC UA dissector. */

const tshark = programPath("tshark");
const text2pcap = programPath("text2pcap");

interface Message {
  from: "client" | "server";
  bytes: Buffer;
}

/** A way to a server that keeps what goes over it. */
async function tee(server: { address: string }) {
  const messages: Message[] = [];
  const port = Number(server.address.split(":")[1]);
  const listener = createServer({ noDelay: true }, (client) => {
    const behind = connect({ host: "127.0.0.1", port, noDelay: true });
    const ends = [
      { from: "client" as const, socket: client, other: behind },
      { from: "server" as const, socket: behind, other: client },
    ];
    for (const { from, socket, other } of ends) {
      let rest: Buffer = Buffer.alloc(0);
      socket.on("error", () => {});
      socket.on("close", () => other.destroy());
      socket.on("data", (chunk: Buffer) => {
        const parsed = messagesIn(Buffer.concat([rest, chunk]));
        rest = parsed.rest;
        for (const bytes of parsed.messages) messages.push({ from, bytes: Buffer.from(bytes) });
        other.write(chunk);
      });
    }
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const own = { address: `127.0.0.1:${(listener.address() as AddressInfo).port}` };
  return kept({ ...own, messages, close: () => void listener.close() });
}

const hex = (bytes: Buffer) =>
  [...bytes.toString("hex").matchAll(/.{1,32}/g)]
    .map(([row], i) => `${(16 * i).toString(16).padStart(6, "0")} ${row.replaceAll(/../g, "$& ")}`)
    .join("\n");

/** The messages as tshark decodes them: one line of text each, in their order. */
function decoded(messages: readonly Message[]): string {
  const folder = mkdtempSync(join(tmpdir(), "kerb-tshark-"));
  try {
    const [text, pcap] = [join(folder, "x.txt"), join(folder, "x.pcap")];
    writeFileSync(
      text,
      messages.map(({ from, bytes }) => `${from === "client" ? "O" : "I"}\n${hex(bytes)}\n`).join("\n"),
    );
    runProgram(text2pcap!, "-D", "-T", "40000,4840", text, pcap);
    return runProgram(tshark!, "-r", pcap, "-d", "tcp.port==4840,opcua", "-V", "-O", "opcua");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe.skipIf(tshark === undefined || text2pcap === undefined)("tshark", () => {
  test("decodes every message of the driver", { timeout: 60_000 }, async () => {
    const server = kept(await startServer({ speed: "Double", plan: "UInt16" }));
    const between = await tee(server);
    const connection = await connectTo(settingsOf(between));
    const points = pointsOf({ node: at("speed"), deadband: 2 }, { path: "nothing" });
    await connection.identify(patient());
    await connection.read(points, { signal: patient() });
    await connection.write?.(pointsOf({ node: at("plan"), type: "UInt16" })[0]!, 4711, patient());
    const listing = { entriesMax: 100, depthMax: 2, untilMs: Infinity, signal: patient() };
    for await (const one of connection.browse!({ ...listing, under: "i=2253" })) void one;
    const heard = new Heard();
    const stop = new AbortController();
    const alarm = {
      name: "alarm",
      address: address.parse({ node: "i=2253", event: "i=2915" }),
      fields: pointsOf({ field: "Severity" }, { field: "ActiveState/Id" }),
    };
    const done = connection.subscribe?.({ points, records: [alarm], sink: heard, signal: stop.signal });
    await until("a value", () => heard.values(0).length > 0);
    stop.abort();
    await done;
    await connection.close();
    const text = decoded(between.messages.filter(({ from }) => from === "client"));
    expect(text).not.toMatch(/malformed|unknown|expert info/i);
    for (const name of [
      "GetEndpoints",
      "CreateSession",
      "ActivateSession",
      "Read",
      "TranslateBrowsePathsToNodeIds",
      "Browse",
      "Write",
      "CreateSubscription",
      "CreateMonitoredItems",
      "Publish",
      "DeleteSubscriptions",
      "CloseSession",
    ])
      expect(text, name).toContain(`${name}Request (`);
    for (const part of ["UInt16: 4711", "Filter", "DataChangeFilter", "EventFilter", "Name: ActiveState"])
      expect(text, part).toContain(part);
  });
});

/** The first values of a subscription; the last address is a record's trigger. */
async function listened(connection: Connection<Address>, addresses: Record<string, unknown>[]) {
  const [trigger, ...points] = pointsOf(...addresses).toReversed();
  const records = [{ ...trigger!, name: "record", fields: points }];
  const { heard } = listen(connection, points.toReversed(), records);
  await until("all values", () => points.every((_, i) => heard.values(i).length > 0));
  await until("signs of life", () => heard.signs > 3);
  return heard.readings_.map(({ index, answer }) => [index, answer]);
}

async function record(
  name: string,
  server: OpcuaSimulator,
  more: Record<string, unknown>,
  addresses: Record<string, unknown>[],
  listens = false,
): Promise<void> {
  const between = await tee(server);
  const connection = await connectTo(settingsOf(between, more));
  const { signal } = new AbortController();
  const values = listens
    ? await listened(connection, addresses)
    : addresses.length === 0
      ? await connection.identify(signal)
      : (await connection.read(pointsOf(...addresses), { signal })).answers;
  const { messages } = between;
  const lines = messages.map(
    ({ from, bytes }) => `${from === "client" ? "request" : "answer"}: ${bytes.toString("hex")}`,
  );
  await connection.close();
  writeFileSync(
    new URL(`../../drivers/opcua/frames/${name}.txt`, import.meta.url),
    [
      "origin: node-opcua 2.186.4, its server behind simulators/opcua, security None",
      `settings: ${JSON.stringify(more)}`,
      `points: ${JSON.stringify(addresses)}`,
      `listens: ${listens}`,
      `values: ${JSON.stringify(values)}`,
      ...lines,
      "",
    ].join("\n"),
  );
}

const records = process.env["KERB_RECORD"] !== undefined;
if (!records) console.log("skipped: the golden frames are only recorded anew with KERB_RECORD=1");

describe.skipIf(!records)("record", () => {
  const types = {
    Boolean: "boolean",
    SByte: -5,
    Byte: 250,
    Int16: -30_000,
    UInt16: 60_000,
    Int32: -2_000_000_000,
    UInt32: 4_000_000_000,
    Int64: -5_000_000_000,
    UInt64: 5_000_000_000,
    Float: 1.5,
    Double: -0.1,
    String: "Nút giao Láng Hạ",
    LocalizedText: "đèn xanh",
  };

  test("values of each type", async () => {
    const server = kept(
      await startServer(Object.fromEntries(Object.keys(types).map((type) => [type, type]))),
    );
    for (const [name, value] of Object.entries(types)) server.set(name, value === "boolean" ? 1 : value);
    server.space.spoil("Byte", "uncertain");
    server.space.spoil("UInt16", "bad");
    server.space.spoil("UInt32", "overflow");
    const wanted = [...Object.keys(types).map((type) => ({ node: at(type) })), { node: at("gone") }];
    await record("values", server, {}, wanted);
    await record("identity", server, {}, []);
  });

  test("a subscription", async () => {
    const server = kept(await startServer({ speed: "Double", stage: "Int32", ticket: "Int32" }));
    const wanted = ["speed", "stage", "ticket"].map((name) => ({ node: at(name) }));
    await record("subscription", server, { publishing: 50, keepAlive: 100 }, wanted, true);
  });

  test("a weighing", async () => {
    const profile = loadProfile("opc-foundation/vehicle-scale");
    const server = kept(
      (await start({
        profile: profile.id,
        points: simulatedPoints(profile),
        records: simulatedRecords(profile),
        settings: mergeSettings(profile.settings, { port: 0 }),
        identity: {},
      })) as OpcuaSimulator,
    );
    server.tell("weighing", { id: "W7", gross: 20_480, net: 12_000, tare: 8480, "raw.gross": 20_477.5 });
    const { namespaces, names } = profile.settings;
    const fields = profile.records[0]!.fields.map((field) => field.address as Record<string, unknown>);
    await record("weighing", server, { namespaces, names }, fields);
  });
});

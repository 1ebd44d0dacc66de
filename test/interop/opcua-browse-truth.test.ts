import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { XMLParser } from "fast-xml-parser";
import { expect, test } from "vitest";
import { messagesIn, replay } from "../../drivers/opcua/testing.ts";
import { seededRandom } from "../../simulators/simulator.ts";
import { kept, at, codeOf, connectTo, contextOf, settingsOf } from "./opcua-rig.ts";
import { celsius, connected, inside, listed, served } from "./opcua-browse-rig.ts";

/** `browse` held against falsified answers, and against the OPC Foundation's own list of its types. */

test(
  "whatever a server answers to it, nothing but a DeviceError is thrown",
  { timeout: 120_000 },
  async () => {
    const { server, own, folder } = await served();
    const plant = folder("Plant");
    own.addAnalogDataItem({
      browseName: "Temperature",
      nodeId: "s=Temperature",
      componentOf: plant,
      dataType: "Double",
      engineeringUnits: { ...celsius, displayName: { text: "°C" } },
      engineeringUnitsRange: { low: -40, high: 85 },
      value: { dataType: "Double", value: 21.5 },
    });
    own.addMultiStateDiscrete({
      browseName: "Mode",
      nodeId: "s=Mode",
      componentOf: plant,
      enumStrings: ["off", "hand"],
      value: 1,
    });
    const random = seededRandom(4);
    // What a listing's answers are, kept on their way.
    const port = Number(server.address.split(":")[1]);
    let told = Buffer.alloc(0);
    const between = createServer({ noDelay: true }, (client) => {
      const behind = connect({ host: "127.0.0.1", port, noDelay: true });
      for (const socket of [client, behind]) socket.on("error", () => {});
      client.on("close", () => behind.destroy()).on("data", (bytes) => behind.write(bytes));
      behind
        .on("close", () => client.destroy())
        .on("data", (bytes) => {
          told = Buffer.concat([told, bytes]);
          client.write(bytes);
        });
    }).listen(0, "127.0.0.1");
    await once(between, "listening");
    kept({ close: async () => void between.close() });
    const way = { address: `127.0.0.1:${(between.address() as AddressInfo).port}` };
    const first = await connectTo(settingsOf(way));
    const { messages: before } = messagesIn(told);
    expect((await listed(first, { under: at("Plant") })).entries).toHaveLength(2);
    const { messages } = messagesIn(told);
    await first.close();
    expect(messages.length - before.length).toBeGreaterThan(4);
    // The same answers again, falsified behind the length of one message or two.
    const codes = new Set<string>();
    for (let round = 0; round < 120; round++) {
      const answers = messages.map((one) => Buffer.from(one));
      for (let i = 0; i <= round % 4; i++) {
        const which = before.length + Math.floor(random() * (messages.length - before.length));
        const answer = answers[which]!;
        answer[8 + Math.floor(random() * (answer.length - 8))] = Math.floor(random() * 256);
      }
      const again = await replay(answers);
      const connection = await connectTo(
        settingsOf({ address: `127.0.0.1:${again.port}` }, { timeout: 500 }),
        contextOf({ deviceId: `falsified-${round}` }),
      );
      codes.add(await codeOf(listed(connection, { under: at("Plant") })));
      await connection.close();
      await again.close();
    }
    expect([...codes].filter((code) => code.includes("not a DeviceError"))).toEqual([]);
    console.log(`listings of falsified answers ended as: ${[...codes].join(", ")}`);
    expect(codes.size).toBeGreaterThan(2);
  },
);

// ---------------------------------------------------------------------------------------- the standard's own truth

interface XmlNode {
  "@_NodeId": string;
  "@_BrowseName": string;
  "@_DataType"?: string;
  References?: { Reference?: { "@_ReferenceType": string; "@_IsForward"?: string; "#text": string }[] };
}

interface Aliases {
  Alias: { "@_Alias": string; "#text": string }[];
}

const properties = new Set(
  "EURange InstrumentRange EngineeringUnits EnumStrings EnumValues TrueState FalseState ValuePrecision Definition InputArguments OutputArguments".split(
    " ",
  ),
);

/** Variables and methods below each node of a node set, by the forward and inverse references of the file. */
function childrenIn(file: string): Map<string, Map<string, XmlNode & { isMethod: boolean }>> {
  const many = [
    "Reference",
    "UAVariable",
    "UAMethod",
    "UAObject",
    "UAObjectType",
    "UAReferenceType",
    "Alias",
  ];
  const parser = new XMLParser({
    ignoreAttributes: false,
    parseTagValue: false,
    isArray: (name) => many.includes(name),
  });
  const { UANodeSet: set } = parser.parse(readFileSync(file, "utf8")) as {
    UANodeSet: Record<string, XmlNode[]>;
  };
  const aliases = new Map(
    (set["Aliases"] as unknown as Aliases).Alias.map((one) => [one["@_Alias"], one["#text"]]),
  );
  const typeOf = (text: string) => aliases.get(text) ?? text;
  // HierarchicalReferences and all below it.
  const hierarchical = new Set(["i=33"]);
  for (let before = 0; before < hierarchical.size;) {
    before = hierarchical.size;
    for (const { "@_NodeId": id, References } of set["UAReferenceType"] ?? [])
      for (const {
        "@_ReferenceType": type,
        "@_IsForward": isForward,
        "#text": other,
      } of References?.Reference ?? [])
        if (typeOf(type) === "i=45" && isForward === "false" && hierarchical.has(other.trim()))
          hierarchical.add(id);
  }
  const nodes = new Map<string, XmlNode & { isMethod: boolean; isObject: boolean }>();
  for (const kind of ["UAVariable", "UAMethod", "UAObject"])
    for (const node of set[kind] ?? [])
      nodes.set(node["@_NodeId"], {
        ...node,
        isMethod: kind === "UAMethod",
        isObject: kind === "UAObject",
      });
  const below = new Map<string, Set<string>>();
  const add = (parent: string, child: string) => {
    if (!below.has(parent)) below.set(parent, new Set());
    if (nodes.has(child)) below.get(parent)!.add(child);
  };
  for (const kind of ["UAVariable", "UAMethod", "UAObject", "UAObjectType"])
    for (const node of set[kind] ?? [])
      for (const reference of node.References?.Reference ?? []) {
        if (!hierarchical.has(typeOf(reference["@_ReferenceType"]))) continue;
        const other = reference["#text"].trim();
        if (reference["@_IsForward"] === "false") add(other, node["@_NodeId"]);
        else add(node["@_NodeId"], other);
      }
  const found = new Map<string, Map<string, XmlNode & { isMethod: boolean }>>();
  for (const type of set["UAObjectType"] ?? []) {
    const own = new Map<string, XmlNode & { isMethod: boolean }>();
    const queue = [...(below.get(type["@_NodeId"]) ?? [])].map((id) => ({ id, isMeaning: false }));
    const seen = new Set<string>();
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const node = nodes.get(next.id)!;
      // What only says what its variable or method means is no entry of its own.
      if (seen.has(next.id) || (next.isMeaning && properties.has(node["@_BrowseName"]))) continue;
      seen.add(next.id);
      if (!node.isObject) own.set(next.id, node);
      queue.push(...[...(below.get(next.id) ?? [])].map((id) => ({ id, isMeaning: !node.isObject })));
    }
    found.set(type["@_NodeId"], own);
  }
  return found;
}

test(
  "the standard's own types are listed as the OPC Foundation's file has them",
  { timeout: 90_000 },
  async () => {
    const { server } = await served();
    const file = join(
      dirname(inside.resolve("node-opcua-nodesets")),
      "..",
      "nodesets",
      "Opc.Ua.NodeSet2.xml",
    );
    const connection = await connected(server);
    let entries = 0;
    let types = 0;
    for (const [under, own] of childrenIn(file)) {
      const wanted = [...own];
      if (wanted.length < 8) continue;
      types++;
      const found = await listed(connection, { under, depthMax: 50 });
      entries += found.entries.length;
      const variables = wanted.filter(([, { isMethod }]) => !isMethod).map(([id]) => id);
      const listedVariables = found.entries.filter(
        ({ what, address }) => what === "value" && address?.["member"] === undefined,
      );
      expect(listedVariables.map(({ address }) => String(address?.["node"])).toSorted(), under).toEqual(
        variables.toSorted(),
      );
      const methods = wanted.filter(([, { isMethod }]) => isMethod).map(([, node]) => node["@_BrowseName"]);
      const listedMethods = found.entries.filter(({ what }) => what === "command");
      expect(listedMethods.map(({ path }) => String(path.at(-1))).toSorted(), under).toEqual(
        methods.toSorted(),
      );
    }
    console.log(`${types} types, ${entries} entries as the file has them`);
    expect(types).toBeGreaterThan(50);
  },
);

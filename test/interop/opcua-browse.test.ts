import type { INamespace, UAObject, UAVariable } from "node-opcua";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { XMLParser } from "fast-xml-parser";
import { afterEach, describe, expect, test } from "vitest";
import { messagesIn, replay } from "../../drivers/opcua/testing.ts";
import { address as addressSchema, type Address } from "../../drivers/opcua/settings.ts";
import type { Browsed, BrowseRequest, Connection, LeftOut } from "../../gateway/driver.ts";
import { start, type OpcuaSimulator } from "../../simulators/opcua/index.ts";
import { seededRandom } from "../../simulators/simulator.ts";
import { loadLibrary } from "../../simulators/opcua/library.ts";
import {
  altered,
  at,
  codeOf,
  connectTo,
  contextOf,
  errorOf,
  patient,
  pointsOf,
  settingsOf,
  startServer,
  until,
} from "./opcua-rig.ts";

/** What `browse` lists of node-opcua's server, with an address space that no maker would be proud of. */

const library = await loadLibrary();
const { DataType, StatusCodes } = library;

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});
const kept = <Thing extends { close(): Promise<void> }>(thing: Thing): Thing => {
  open.push(thing);
  return thing;
};

/** What the library's types leave out of a namespace. */
type DataAccess = Record<
  "addAnalogDataItem" | "addMultiStateDiscrete" | "addTwoStateDiscrete",
  (options: object) => UAVariable
>;

/** The attribute (OPC 10000-6, A.1). */
const dataTypeDefinition = 23;
/** Parts of the library that it does not show. */
const inside = createRequire(createRequire(import.meta.url).resolve("node-opcua"));
const { StructureDefinition, StructureType } = inside("node-opcua-types") as {
  StructureDefinition: new (fields: object) => object;
  StructureType: { Structure: number };
};

/** A server and the names of the services that it was asked for. */
async function served() {
  const server = kept(await startServer({}));
  const asked: { name: string; size: number }[] = [];
  server.server.on("request", (request) => {
    const { nodesToRead, nodesToBrowse, continuationPoints } = request as unknown as Record<
      string,
      unknown[] | undefined
    >;
    const size = (nodesToRead ?? nodesToBrowse ?? continuationPoints ?? []).length;
    asked.push({ name: request.schema.name.replace(/Request$/, ""), size });
  });
  const { addressSpace } = server.server.engine;
  const own = addressSpace!.registerNamespace("urn:kerb:test") as INamespace & DataAccess;
  const objects = addressSpace!.rootFolder.objects;
  const folder = (name: string, parent?: UAObject) =>
    own.addObject({
      browseName: name,
      nodeId: `s=${name}`,
      ...(parent === undefined ? { organizedBy: objects } : { componentOf: parent }),
    });
  return { server, asked, addressSpace: addressSpace!, own, objects, folder };
}

async function connected(server: OpcuaSimulator, more: Record<string, unknown> = {}) {
  return kept(await connectTo(settingsOf(server, { timeout: 10_000, ...more })));
}

type Listed = { entries: Browsed[]; left: LeftOut[] };

async function listed(
  connection: Connection<Address>,
  more: Partial<BrowseRequest> = {},
  until_ = 60_000,
): Promise<Listed> {
  const found: Listed = { entries: [], left: [] };
  const request = {
    entriesMax: 20_000,
    depthMax: 20,
    untilMs: performance.now() + until_,
    signal: patient(),
    ...more,
  };
  for await (const one of connection.browse!(request)) {
    if ("left" in one) found.left.push(one);
    else found.entries.push(one);
  }
  return found;
}

const named = ({ entries }: Listed, name: string): Browsed | undefined =>
  entries.find(({ path }) => path.at(-1) === name);
const namesOf = ({ entries }: Listed): string[] => entries.map(({ path }) => path.join("/"));

/** What is not listed of any server. */
const standard = ["i=2253", "i=23470"].map((place) => ({ left: "standard", branches: 1, place }));
const celsius = { namespaceUri: "http://www.opcfoundation.org/UA/units/un/cefact", unitId: 4_408_652 };

describe("a variable", () => {
  test("is told with type, access, unit, range, meaning and value", async () => {
    const { server, own, addressSpace, folder } = await served();
    const plant = folder("Plant");
    const analog = (name: string, unit: object, range: object) =>
      own.addAnalogDataItem({
        browseName: name,
        displayName: `${name} of the oil`,
        description: "from the sensor behind the pump",
        nodeId: `s=${name}`,
        componentOf: plant,
        dataType: "Double",
        engineeringUnits: unit,
        engineeringUnitsRange: range,
        value: { dataType: "Double", value: 21.5 },
      });
    analog("Code", { ...celsius, displayName: { text: "Grad" } }, { low: -40, high: 85 });
    analog(
      "Native",
      { ...celsius, unitId: -1, displayName: { text: " bogs " } },
      { low: Number.NaN, high: 5 },
    );
    analog("Other", { ...celsius, namespaceUri: "urn:own", displayName: { text: "" } }, { low: 9, high: 9 });
    own.addMultiStateDiscrete({
      browseName: "Mode",
      nodeId: "s=Mode",
      componentOf: plant,
      enumStrings: ["off", "hand", "auto"],
      value: 2,
    });
    own.addTwoStateDiscrete({
      browseName: "Door",
      nodeId: "s=Door",
      componentOf: plant,
      trueState: "open",
      falseState: "shut",
      value: true,
    });
    const ramps = own.addVariable({
      browseName: "Ramps",
      nodeId: "s=Ramps",
      componentOf: plant,
      dataType: "Int32",
      valueRank: 1,
      arrayDimensions: [3],
      accessLevel: "CurrentRead",
      userAccessLevel: "CurrentRead",
    });
    ramps.setValueFromSource({ dataType: "Int32", arrayType: "Array", value: new Int32Array([7, 8, 9]) });
    own.addVariable({
      browseName: "State",
      nodeId: "s=State",
      componentOf: plant,
      dataType: addressSpace.findDataType("ServerState")!,
      value: { dataType: DataType.Int32, value: 1 },
    });
    const found = await listed(await connected(server), { under: at("Plant") });
    expect(namesOf(found)).toEqual(["Code", "Native", "Other", "Mode", "Door", "Ramps", "State"]);
    expect(found.left).toEqual([]);
    expect(named(found, "Code")).toMatchObject({
      what: "value",
      address: { node: at("Code") },
      label: "Code of the oil",
      description: "from the sensor behind the pump",
      type: "Double",
      access: "read-write",
      unit: { text: "Grad", ucum: "Cel" },
      range: [-40, 85],
      answer: { value: 21.5, status: "good" },
    });
    expect(named(found, "Native")?.unit).toEqual({ text: "bogs" });
    expect(named(found, "Native")).not.toHaveProperty("range");
    expect(named(found, "Other")).not.toHaveProperty("unit");
    expect(named(found, "Other")).not.toHaveProperty("range");
    expect(named(found, "Mode")?.values).toEqual({ 0: "off", 1: "hand", 2: "auto" });
    expect(named(found, "Door")).toMatchObject({
      type: "Boolean",
      values: { true: "open", false: "shut" },
      answer: { value: true },
    });
    expect(named(found, "Ramps")).toMatchObject({
      address: { node: at("Ramps"), index: 0 },
      type: "Int32[3]",
      access: "read",
      answer: { value: 7 },
    });
    expect(named(found, "State")).toMatchObject({
      type: "Int32",
      more: { dataType: "ServerState" },
      values: { 0: "Running", 1: "Failed" },
    });
  });

  test("that may not be read, or fails, is an entry that says so", async () => {
    const { server, own, folder } = await served();
    const plant = folder("Plant");
    const add = (name: string, more: object) =>
      own.addVariable({
        browseName: name,
        nodeId: `s=${name}`,
        componentOf: plant,
        dataType: "Double",
        ...more,
      });
    add("Hidden", { accessLevel: "CurrentRead | CurrentWrite", userAccessLevel: 0 });
    add("Blind", { accessLevel: "CurrentWrite", userAccessLevel: "CurrentWrite" });
    add("Broken", { value: { get: () => StatusCodes.BadDeviceFailure } });
    add("Odd", { value: { dataType: DataType.Double, value: Number.NaN } });
    add("Whole", { value: { dataType: DataType.Double, value: 4 } });
    const found = await listed(await connected(server), { under: at("Plant") });
    const told = found.entries.map(({ path, access, answer }) => {
      const { value, status, code } = answer as { value: unknown; status: string; code?: string };
      return [path.at(-1), access, value, status, code];
    });
    expect(told).toEqual([
      ["Hidden", "none", null, "bad", "BadNotReadable"],
      ["Blind", "write", null, "bad", "BadNotReadable"],
      ["Broken", "read-write", null, "bad", "BadDeviceFailure"],
      ["Odd", "read-write", null, "bad", "not-a-number"],
      ["Whole", "read-write", 4, "good", undefined],
    ]);
  });

  test("with names longer than an address has room for is an entry without one, and its texts are bounded", async () => {
    const { server, own, folder } = await served();
    const plant = folder("Plant");
    const long = "Lange".repeat(2000);
    own.addVariable({
      browseName: long,
      displayName: long,
      description: long,
      nodeId: `s=${"x".repeat(3000)}`,
      componentOf: plant,
      dataType: "String",
      value: { dataType: DataType.String, value: "y".repeat(100_000) },
    });
    own.addVariable({
      browseName: "a/b {c}\u001b[31m",
      nodeId: new library.NodeId(2, "line\nbreak", own.index),
      componentOf: plant,
      dataType: "Boolean",
    });
    const found = await listed(await connected(server), { under: at("Plant") });
    expect(found.entries).toHaveLength(2);
    for (const entry of found.entries) {
      expect(entry).not.toHaveProperty("address");
      expect(entry).not.toHaveProperty("also");
      expect(entry.more?.["why"]).toMatch(/cannot write this node id/);
    }
    expect(found.entries[0]).toMatchObject({ answer: { value: null, code: "too-long" } });
    const texts = JSON.stringify(found.entries);
    expect(texts.length).toBeLessThan(6000);
  });

  test("that is a structure is told with its members, which can be read", async () => {
    const layout = { Gross: "Double", Axles: "Int32" };
    const points = Object.keys(layout).map((member) => ({
      name: member,
      address: { node: at("Current"), layout, member },
      scale: 1,
      offset: 0,
    }));
    const options = { profile: "", points, settings: { port: 0 }, identity: {} };
    const server = kept((await start(options)) as OpcuaSimulator);
    server.set("Gross", 20_480.5);
    server.set("Axles", 5);
    const addressSpace = server.server.engine.addressSpace!;
    const own = addressSpace.getNamespace("urn:kerb:test");
    const structure = addressSpace.findDataType("Structure")!;
    const type = own.createDataType({ browseName: "Load", isAbstract: false, subtypeOf: structure });
    const definition = new StructureDefinition({
      baseDataType: structure.nodeId,
      structureType: StructureType.Structure,
      fields: [
        { name: "Gross", dataType: library.coerceNodeId("i=11"), valueRank: -1 },
        { name: "Axles", dataType: library.coerceNodeId("i=6"), valueRank: -1 },
      ],
    });
    // The library would want the type's code, as no server of another maker does.
    Object.defineProperty(type, "readAttribute", {
      value: (_context: unknown, attributeId: number) =>
        attributeId === dataTypeDefinition
          ? new library.DataValue({ value: { dataType: DataType.ExtensionObject, value: definition } })
          : new library.DataValue({ value: { dataType: DataType.QualifiedName, value: type.browseName } }),
    });
    const current = addressSpace.findNode(`ns=${own.index};s=Current`)!;
    Object.assign(current, { dataType: type.nodeId });
    const connection = await connected(server);
    const found = await listed(connection, { under: at("Current") });
    expect(found.entries.map(({ path, type: one, answer }) => [path.slice(1), one, answer])).toMatchObject([
      [[], "ExtensionObject", { code: "structure" }],
      [["Gross"], "Double", { value: 20_480.5 }],
      [["Axles"], "Int32", { value: 5 }],
    ]);
    const wanted = pointsOf(...found.entries.slice(1).map(({ address }) => address!));
    const { answers } = await connection.read(wanted, { signal: patient() });
    expect(answers).toMatchObject([{ value: 20_480.5 }, { value: 5 }]);
    const two = await listed(connection, { under: at("Current"), entriesMax: 2 });
    expect(two).toMatchObject({ entries: { length: 2 }, left: [{ left: "limit", entries: 1 }] });
  });
});

test("a method is told with an address that calls it, where kerb can", async () => {
  const { server, own, folder } = await served();
  const plant = folder("Plant");
  const called: unknown[] = [];
  const add = (name: string, types: string[], isBound = true) => {
    const inputArguments = types.map((type, i) => ({
      name: `arg${i}`,
      dataType: DataType[type as "Int32"],
      valueRank: -1,
    }));
    const method = own.addMethod(plant, { browseName: name, nodeId: `s=${name}`, inputArguments });
    if (!isBound) return;
    method.bindMethod((given, _context, done) => {
      called.push(given[0]?.value ?? name);
      done(null, { statusCode: StatusCodes.Good, outputArguments: [] });
    });
  };
  add("Start", []);
  add("Plan", ["UInt16"]);
  add("Both", ["Int32", "Double"]);
  add("Locked", [], false);
  const found = await listed(await connected(server), { under: at("Plant") });
  const needed = { namespaces: { test: "urn:kerb:test" } };
  expect(found.entries).toEqual([
    {
      what: "command",
      address: { node: at("Plant"), method: "test:Start" },
      settings: needed,
      path: ["Start"],
      access: "write",
    },
    {
      what: "command",
      address: { node: at("Plant"), method: "test:Plan", type: "UInt16" },
      settings: needed,
      path: ["Plan"],
      type: "UInt16",
      access: "write",
      more: { arguments: "arg0: UInt16" },
    },
    {
      what: "command",
      path: ["Both"],
      access: "write",
      more: {
        arguments: "arg0: Int32, arg1: Double",
        why: "kerb calls methods with no argument or one plain one",
        node: at("Both"),
      },
    },
    {
      what: "command",
      address: { node: at("Plant"), method: "test:Locked" },
      settings: needed,
      path: ["Locked"],
      access: "none",
    },
  ]);
  expect(called).toEqual([]);
  const connection = await connected(server, needed);
  await connection.write!(pointsOf(found.entries[1]!.address!)[0]!, 7, patient());
  expect(called).toEqual([7]);
});

/** A server whose nodes hang together as they should not: 5,000 variables, circles, two ways to one node. */
async function labyrinth() {
  const place = await served();
  const { own, folder, objects } = place;
  const big = folder("Big");
  for (let i = 0; i < 5000; i++)
    own.addVariable({
      browseName: `V${i}`,
      nodeId: `s=V${i}`,
      componentOf: big,
      dataType: "Int32",
      value: { dataType: DataType.Int32, value: i },
    });
  const a = folder("A");
  const b = folder("B", a);
  b.addReference({ referenceType: "Organizes", nodeId: a.nodeId });
  a.addReference({ referenceType: "Organizes", nodeId: a.nodeId });
  const loop = own.addVariable({ browseName: "Loop", nodeId: "s=Loop", componentOf: b, dataType: "Double" });
  loop.addReference({ referenceType: "HasComponent", nodeId: b.nodeId });
  a.addReference({ referenceType: "Organizes", nodeId: loop.nodeId });
  a.addReference({ referenceType: "Organizes", nodeId: big.nodeId });
  a.addReference({ referenceType: "Organizes", nodeId: objects.nodeId });
  return place;
}

describe("a large and twisted address space", () => {
  test(
    "is listed once and whole, with addresses and paths that read what was shown",
    { timeout: 60_000 },
    async () => {
      const { server, asked } = await labyrinth();
      const connection = await connected(server, { namespaces: { t: "urn:kerb:test" } });
      asked.length = 0;
      const begunMs = performance.now();
      const found = await listed(connection);
      console.log(
        `5,000 variables listed in ${Math.round(performance.now() - begunMs)} ms, ${asked.length} requests`,
      );
      expect(found.left).toEqual(standard);
      const names = found.entries.map(({ path }) => path.at(-1));
      expect(names.filter((name) => /^V\d+$/.test(name ?? ""))).toHaveLength(5000);
      expect(new Set(names.filter((name) => /^(V\d+|Loop)$/.test(name ?? ""))).size).toBe(5001);
      // Nothing is written, called or subscribed to.
      expect([...new Set(asked.map(({ name }) => name))].toSorted()).toEqual([
        "Browse",
        "BrowseNext",
        "Read",
      ]);
      const some = found.entries.filter(({ what }, i) => what === "value" && (i % 500 === 0 || i > 5000));
      expect(some.length).toBeGreaterThan(8);
      for (const words of [
        some.map(({ address }) => address!),
        some.flatMap(({ also }) => also?.map(({ address }) => address!) ?? []),
      ]) {
        const points = words.map((one, i) => ({ name: `p${i}`, address: addressSchema.parse(one) }));
        const { answers } = await connection.read(points, { signal: patient() });
        expect(answers.map((answer) => (typeof answer === "object" ? answer.value : answer))).toEqual(
          some.map(({ answer }) => (typeof answer === "object" ? answer.value : answer)),
        );
      }
    },
  );

  test("a limit says what it has left out, and asks for no more than it needs", async () => {
    const { server, asked } = await labyrinth();
    const connection = await connected(server);
    asked.length = 0;
    const found = await listed(connection, { under: at("Big"), entriesMax: 70 });
    expect(namesOf(found)).toEqual(Array.from({ length: 70 }, (_, i) => `V${i}`));
    expect(found.left).toEqual([{ left: "limit", entries: 4930, branches: 0 }]);
    expect(asked.filter(({ name }) => name === "Read").length).toBeLessThan(10);
    const shallow = await listed(connection, { under: at("A"), depthMax: 1, entriesMax: 10 });
    expect(shallow.left.map(({ left }) => left)).toContain("depth");
    const none = await listed(connection, { untilMs: performance.now() - 1 });
    expect(none).toEqual({ entries: [], left: [{ left: "time", entries: 0, branches: 1 }] });
  });

  test("servers with small limits are asked in small pieces", { timeout: 60_000 }, async () => {
    const { server, asked } = await labyrinth();
    const { operationLimits } = server.server.engine.serverCapabilities;
    operationLimits.maxNodesPerBrowse = 3;
    operationLimits.maxNodesPerRead = 7;
    const connection = await connected(server);
    asked.length = 0;
    const found = await listed(connection, { entriesMax: 120 });
    expect(found.entries).toHaveLength(120);
    const most = (service: string) =>
      Math.max(...asked.filter(({ name }) => name === service).map(({ size }) => size));
    expect(most("Browse")).toBe(3);
    expect(most("Read")).toBe(7);
  });

  test("servers that do not tell their limits are asked in smaller pieces once they refuse", async () => {
    const { server, asked } = await labyrinth();
    const { operationLimits } = server.server.engine.serverCapabilities;
    operationLimits.maxNodesPerBrowse = 6;
    operationLimits.maxNodesPerRead = 20;
    // The limits' own nodes tell nothing.
    altered(server, "ReadResponse", ({ results }: { results: { value: { value: unknown } }[] }) => {
      if (results.length === 2 && results[0]?.value.value === 6)
        for (const one of results) one.value.value = 0;
    });
    const connection = await connected(server);
    asked.length = 0;
    const found = await listed(connection, { under: at("Big"), entriesMax: 300 });
    expect(found.entries).toHaveLength(300);
    expect(found.left).toEqual([{ left: "limit", entries: 4700, branches: 0 }]);
    const refused = asked.filter(({ name, size }) => size > (name === "Read" ? 20 : 6));
    expect(refused.length).toBeGreaterThan(1);
    expect(refused.length).toBeLessThan(12);
  });
});

/** Makes the server give few references at a time. */
function paging(server: OpcuaSimulator, size: number): void {
  server.server.on("request", (request) => {
    const browse = request as unknown as { requestedMaxReferencesPerNode?: number };
    if (browse.requestedMaxReferencesPerNode !== undefined) browse.requestedMaxReferencesPerNode = size;
  });
}

/** Continuation points that the server's sessions keep. */
function keptPoints(server: OpcuaSimulator): number {
  const { _sessions } = server.server.engine as unknown as {
    _sessions: Record<string, { continuationPointManager: { _map: Map<string, unknown> } }>;
  };
  return Object.values(_sessions).reduce((sum, { continuationPointManager: { _map } }) => sum + _map.size, 0);
}

describe("continuation points", () => {
  test("are followed to their end", async () => {
    const { server, asked } = await labyrinth();
    paging(server, 100);
    const connection = await connected(server);
    asked.length = 0;
    const found = await listed(connection, { under: at("Big"), entriesMax: 5000 });
    expect(found.left).toEqual([]);
    expect(new Set(namesOf(found)).size).toBe(5000);
    expect(asked.filter(({ name }) => name === "BrowseNext")).toHaveLength(49);
    expect(keptPoints(server)).toBe(0);
  });

  test("are given back when the time is over", async () => {
    const { server, asked } = await labyrinth();
    paging(server, 10);
    const connection = await connected(server);
    asked.length = 0;
    const request = {
      under: at("Big"),
      entriesMax: 20_000,
      depthMax: 20,
      signal: patient(),
      // The time is up as soon as the first page was asked for.
      get untilMs() {
        return asked.some(({ name }) => name === "Browse") ? 0 : performance.now() + 60_000;
      },
    };
    const left: LeftOut[] = [];
    for await (const one of connection.browse!(request)) if ("left" in one) left.push(one);
    expect(left).toMatchObject([{ left: "time" }]);
    expect(asked.filter(({ name }) => name === "BrowseNext")).toEqual([{ name: "BrowseNext", size: 1 }]);
    expect(keptPoints(server)).toBe(0);
    expect((await listed(connection, { under: at("A"), entriesMax: 5 })).entries).toHaveLength(5);
  });

  test("of a server that keeps one at a time are asked for one after the other", async () => {
    const { server, own, folder } = await served();
    const parent = folder("Parent");
    for (let i = 0; i < 4; i++) {
      const child = folder(`F${i}`, parent);
      for (let k = 0; k < 25; k++)
        own.addVariable({
          browseName: `F${i}V${k}`,
          nodeId: `s=F${i}V${k}`,
          componentOf: child,
          dataType: "Double",
        });
    }
    paging(server, 10);
    server.server.engine.serverCapabilities.maxBrowseContinuationPoints = 1;
    const found = await listed(await connected(server), { under: at("Parent") });
    expect(found.left).toEqual([]);
    expect(new Set(namesOf(found)).size).toBe(100);
  });

  test("without end are given up", async () => {
    const { server } = await served();
    altered(server, "BrowseNextResponse", ({ results }: { results: { [key: string]: unknown }[] }) => {
      for (const one of results) {
        one["references"] = [];
        one["continuationPoint"] = Buffer.from("again");
        one["statusCode"] = StatusCodes.Good;
      }
    });
    altered(server, "BrowseResponse", ({ results }: { results: { [key: string]: unknown }[] }) => {
      for (const one of results) one["continuationPoint"] = Buffer.from("again");
    });
    const found = await listed(await connected(server));
    expect(found.left).toContainEqual({
      left: "refused",
      branches: 1,
      place: "i=85",
      reason: "pages without end",
    });
  });
});

describe("what goes wrong on the way", () => {
  test("a node that cannot be browsed is named, and the others are listed", async () => {
    const { server, own, folder } = await served();
    const plant = folder("Plant");
    folder("Secret", plant);
    own.addVariable({ browseName: "Near", nodeId: "s=Near", componentOf: plant, dataType: "Double" });
    altered(server, "BrowseResponse", ({ results }: { results: { statusCode: unknown }[] }) => {
      // The second step looks into both.
      if (results.length === 2) results[0]!.statusCode = StatusCodes.BadUserAccessDenied;
    });
    const found = await listed(await connected(server), { under: at("Plant") });
    expect(namesOf(found)).toEqual(["Near"]);
    expect(found.left).toEqual([
      { left: "refused", branches: 1, reason: "BadUserAccessDenied", place: at("Secret") },
    ]);
  });

  test.each([
    ["i=999999", "rejected", /BadNodeIdUnknown/],
    ["nsu=urn:nowhere;i=1", "rejected", /no namespace urn:nowhere/],
    ["test:Nothing", "rejected", /no "test"/],
    ["ns=77;s=x", "rejected", /BadNodeId/],
  ])("a beginning that is not there: %s", async (under, code, message) => {
    const { server } = await served();
    const connection = await connected(server);
    const error = await errorOf(listed(connection, { under }));
    expect(error?.code).toBe(code);
    expect(error?.message).toMatch(message);
    // That is no lost device.
    expect((await listed(connection, { under: "i=2260", entriesMax: 1 })).entries).toHaveLength(1);
  });

  test("a beginning may be a path, an index as other tools write it, or a variable", async () => {
    const { server, own, folder } = await served();
    const plant = folder("Plant");
    own.addVariable({ browseName: "Near", nodeId: "s=Near", componentOf: plant, dataType: "Double" });
    const connection = await connected(server, { namespaces: { t: "urn:kerb:test" } });
    for (const under of ["t:Plant", `ns=${own.index};s=Plant`, at("Plant"), at("Near")])
      expect(namesOf(await listed(connection, { under })), under).toEqual(["Near"]);
    const byPath = await listed(connection, { under: "t:Plant" });
    expect(byPath.entries[0]?.also).toEqual([{ address: { path: "t:Plant/t:Near" } }]);
  });

  test("an attribute that is not of its type is garbage, and nothing else", async () => {
    const { server, own, folder } = await served();
    const plant = folder("Plant");
    const odd = own.addVariable({
      browseName: "Odd",
      nodeId: "s=Odd",
      componentOf: plant,
      dataType: "Double",
    });
    const told = new library.DataValue({ value: { dataType: DataType.String, value: "?!" } });
    Object.defineProperty(odd, "readAttribute", { value: () => told });
    const connection = await connected(server);
    expect(await codeOf(listed(connection, { under: at("Plant") }))).toBe("garbage");
    expect(await codeOf(connection.identify(patient()))).toBe("garbage");
  });

  test("given up, it ends at once, and the session is closed", async () => {
    const { server } = await labyrinth();
    const connection = await connected(server);
    const stop = new AbortController();
    const listing = codeOf(listed(connection, { signal: stop.signal }));
    await until("some requests", () => server.counts.requests > 20);
    const stoppedMs = performance.now();
    stop.abort();
    expect(await listing).toBe("aborted");
    expect(performance.now() - stoppedMs).toBeLessThan(200);
    await until("the end of the session", () => server.sessions === 0);
  });

  test("whoever has seen enough may stop: the connection goes on", async () => {
    const { server } = await labyrinth();
    paging(server, 100);
    const connection = await connected(server);
    const request = { entriesMax: 5000, depthMax: 20, untilMs: Infinity, signal: patient() };
    for await (const one of connection.browse!(request)) if ("what" in one) break;
    expect(keptPoints(server)).toBe(0);
    expect((await listed(connection, { entriesMax: 1 })).entries).toHaveLength(1);
  });

  test("a server that falls silent is lost, after what it had told", async () => {
    const { server } = await labyrinth();
    const connection = await connected(server, { timeout: 400 });
    const seen: string[] = [];
    const error = await errorOf(
      (async () => {
        const request = { entriesMax: 5000, depthMax: 20, untilMs: Infinity, signal: patient() };
        for await (const one of connection.browse!(request)) {
          if ("what" in one) seen.push(one.path.join("/"));
          if (seen.length === 1) server.fault("silent");
        }
      })(),
    );
    expect(error?.code).toBe("silent");
    expect(seen.length).toBeGreaterThan(0);
  });
});

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

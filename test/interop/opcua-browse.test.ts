import { describe, expect, test } from "vitest";
import { start, type OpcuaSimulator } from "../../simulators/opcua/index.ts";
import { kept, at, patient, pointsOf } from "./opcua-rig.ts";
import {
  DataType,
  StatusCodes,
  StructureDefinition,
  StructureType,
  celsius,
  connected,
  dataTypeDefinition,
  library,
  listed,
  named,
  namesOf,
  served,
} from "./opcua-browse-rig.ts";

/** What `browse` lists of node-opcua's server: variables and methods. */

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

import { describe, expect, test } from "vitest";
import { address as addressSchema } from "../../drivers/opcua/settings.ts";
import type { LeftOut } from "../../gateway/driver.ts";
import { altered, at, codeOf, errorOf, patient, until } from "./opcua-rig.ts";
import {
  DataType,
  StatusCodes,
  connected,
  keptPoints,
  library,
  listed,
  namesOf,
  paging,
  served,
  standard,
} from "./opcua-browse-rig.ts";

/** How `browse` goes through an address space that no maker would be proud of, and what goes wrong on the way. */

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

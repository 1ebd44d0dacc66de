import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { OpcuaSimulator } from "../../simulators/opcua/index.ts";
import {
  altered,
  at,
  bare,
  connectTo,
  contextOf,
  kept,
  listen,
  patient,
  pointsOf,
  refusing,
  settingsOf,
  startServer,
  until,
  weighing,
  weighings,
} from "./opcua-rig.ts";

/** Subscriptions of the OPC UA driver before servers that are small, old or in trouble. */

async function connected(server: OpcuaSimulator, more: Record<string, unknown> = {}, lines: string[] = []) {
  return kept(await connectTo(settingsOf(server, more), contextOf({}, lines)));
}

describe("a weighing", () => {
  test("whose number is bad for a while is not told twice", async () => {
    const server = kept(await startServer({}, {}, [weighing]));
    server.tell("weighing", { ticket: "T1", gross: 1, tare: 2 });
    const { heard } = listen(await connected(server), [], weighings());
    await until("the weighing", () => heard.records.length === 1);
    for (let i = 0; i < 2; i++) {
      server.space.spoil("weighing.ticket", "bad");
      await sleep(200);
      server.set("weighing.ticket", "T1");
      await sleep(200);
    }
    server.tell("weighing", { ticket: "T2", gross: 3, tare: 4 });
    await until("the next weighing", () => heard.records.length > 1);
    expect(heard.records.map(({ answers }) => answers.map(bare))).toEqual([
      ["T1", 1, 2],
      ["T2", 3, 4],
    ]);
  });

  test("is read in pieces where the server reads few nodes at a time", async () => {
    const server = kept(await startServer({}, {}, [weighing]));
    server.server.engine.serverCapabilities.operationLimits.maxNodesPerRead = 4;
    const wide = [
      { ...weighings()[0]!, fields: pointsOf(...Array.from({ length: 9 }, () => ({ node: at("gross") }))) },
    ];
    const { heard } = listen(await connected(server), [], wide);
    await until("a sign of life", () => heard.signs > 1);
    server.tell("weighing", { ticket: "T1", gross: 5, tare: 4 });
    await until("the weighing", () => heard.records.length > 0);
    expect(heard.records[0]!.answers.map(bare)).toEqual(Array.from({ length: 9 }, () => 5));
  });

  test("whose fields were being read when the connection was cut is told by the next one", async () => {
    const server = kept(await startServer({ stage: "Int32" }, {}, [weighing]));
    const points = pointsOf({ node: at("stage") });
    const first = await connected(server);
    const before = listen(first, points, weighings());
    await until("the first value", () => before.heard.values(0).length === 1);
    server.lose("ReadResponse", 1);
    server.set("stage", 1);
    server.tell("weighing", { ticket: "T1", gross: 5, tare: 4 });
    await until("the value", () => before.heard.values(0).at(-1) === 1);
    await sleep(300);
    server.cut();
    await before.done;
    await first.close();
    const after = listen(await connected(server), points, weighings());
    await until("the weighing", () => after.heard.records.length > 0);
    await sleep(300);
    expect(before.heard.records).toEqual([]);
    expect(after.heard.records.map(({ answers }) => answers.map(bare))).toEqual([["T1", 5, 4]]);
    expect([...before.heard.values(0), ...new Set(after.heard.values(0))]).toEqual([0, 1, 1]);
    expect(after.heard.values(0)).toEqual([1]);
  });

  test("that cannot be listened to now is tried again, and one that never can is not", async () => {
    for (const [code, outcome] of [
      ["BadOutOfMemory", "hung-up"],
      ["BadNodeIdUnknown", "resolved"],
    ] as const) {
      const server = kept(await startServer({}, {}, [weighing]));
      const { StatusCodes } = await import("node-opcua");
      altered(
        server,
        "CreateMonitoredItemsResponse",
        ({ results }: { results: { statusCode: unknown }[] }) => {
          for (const result of results) result.statusCode = StatusCodes[code];
        },
      );
      const lines: string[] = [];
      const connection = await connected(server, {}, lines);
      const { done, stop } = listen(connection, [], weighings());
      if (outcome === "resolved") {
        await until("the line", () => lines.length > 0);
        expect(lines.join()).toContain(code);
        stop.abort();
      }
      expect(await done).toBe(outcome);
      await connection.close();
    }
  });
});

test.each(["BadServiceUnsupported", "BadTooManySubscriptions"])(
  "a server that answers CreateSubscription with %s is polled",
  async (code) => {
    const server = kept(await startServer({ speed: "Double", plan: "Int32" }, {}, [weighing]));
    await refusing(server, "CreateSubscription", code);
    const lines: string[] = [];
    const connection = await connected(server, {}, lines);
    const points = pointsOf({ node: at("speed") }, { node: at("plan") });
    const { heard, done, stop } = listen(connection, points, weighings());
    await until("the points", () => heard.polled.length === 2);
    expect(lines.join()).toContain(`does not tell the record weighing: ${code}`);
    expect((await connection.read(points, { signal: patient() })).answers).toHaveLength(2);
    stop.abort();
    expect(await done).toBe("resolved");
  },
);

test("a device that is only polled keeps a session, however slow the polls are", async () => {
  const server = kept(await startServer({ speed: "Double" }));
  const connection = await connected(server, { session: 500, keepAlive: 100 });
  const points = pointsOf({ node: at("speed") });
  for (let i = 0; i < 3; i++) {
    expect((await connection.read(points, { signal: patient() })).answers).toHaveLength(1);
    await sleep(1200);
  }
  await connection.read(points, { signal: patient() });
  expect(server.sessions).toBe(1);
});

test("items and paths go over in pieces where the server takes few at a time", async () => {
  const names = Array.from({ length: 12 }, (_, i) => `p:v${i}`);
  const naming = { namespaces: { p: "urn:kerb:test" } };
  const { start } = await import("../../simulators/opcua/index.ts");
  const points = names.map((path) => ({ name: path, address: { path, type: "Int32" }, scale: 1, offset: 0 }));
  const server = kept(
    (await start({ profile: "", points, settings: { port: 0, ...naming }, identity: {} })) as OpcuaSimulator,
  );
  const { operationLimits } = server.server.engine.serverCapabilities;
  operationLimits.maxMonitoredItemsPerCall = 5;
  operationLimits.maxNodesPerTranslateBrowsePathsToNodeIds = 5;
  const { heard } = listen(await connected(server, naming), pointsOf(...names.map((path) => ({ path }))));
  await until("all values", () => names.every((_, i) => heard.values(i).length > 0));
  expect(heard.polled).toEqual([]);
});

describe("a server's figures", () => {
  test.each([
    [Infinity, "garbage"],
    [Number.NaN, "garbage"],
    [1e12, "resolved"],
  ])("a publishing interval of %d ms", async (intervalMs, outcome) => {
    const server = kept(await startServer({ speed: "Double" }));
    altered(server, "CreateSubscriptionResponse", (response: { revisedPublishingInterval: number }) => {
      response.revisedPublishingInterval = intervalMs;
    });
    const { done, stop } = listen(await connected(server), pointsOf({ node: at("speed") }));
    await sleep(600);
    stop.abort();
    expect(await done).toBe(outcome);
  });

  test("a message with an old number is no message to go on with", async () => {
    const server = kept(await startServer({ stage: "Int32" }));
    let isOld = false;
    altered(
      server,
      "PublishResponse",
      ({
        notificationMessage,
      }: {
        notificationMessage: { sequenceNumber: number; notificationData: unknown[] | null };
      }) => {
        if (isOld && (notificationMessage.notificationData?.length ?? 0) > 0)
          notificationMessage.sequenceNumber = 1;
      },
    );
    const { heard, done } = listen(await connected(server), pointsOf({ node: at("stage"), sampling: 20 }));
    await until("a value", () => heard.values(0).length === 1);
    server.set("stage", 1);
    await until("a value", () => heard.values(0).length === 2);
    isOld = true;
    server.set("stage", 2);
    expect(await done).toBe("hung-up");
  });
});

test("a namespace that the server did not have at the start is found at a later poll", async () => {
  const server = kept(await startServer({ speed: "Double" }));
  const connection = await connected(server);
  const points = pointsOf({ node: "nsu=urn:kerb:later;s=x" });
  const read = async () => bare((await connection.read(points, { signal: patient() })).answers[0]);
  expect(await read()).toBe(null);
  const space = server.server.engine.addressSpace!;
  const namespace = space.registerNamespace("urn:kerb:later");
  const variable = namespace.addVariable({
    browseName: "x",
    nodeId: `ns=${namespace.index};s=x`,
    dataType: "Int32",
    organizedBy: space.rootFolder.objects,
  });
  variable.setValueFromSource({ dataType: "Int32", value: 7 });
  expect(await read()).toBe(7);
});

test("an alarm that stands already is told as such, and a later one as new", async () => {
  const server = kept(await startServer({}));
  const space = server.server.engine.addressSpace!;
  space.installAlarmsAndConditionsService();
  const namespace = space.getOwnNamespace();
  const source = namespace.addObject({
    browseName: "Cabinet",
    organizedBy: space.rootFolder.objects,
    eventSourceOf: space.rootFolder.objects.server,
  });
  const input = namespace.addVariable({ browseName: "Door", dataType: "Double", propertyOf: source });
  const alarm = namespace.instantiateNonExclusiveLimitAlarm("NonExclusiveLimitAlarmType", {
    browseName: "DoorAlarm",
    conditionSource: source,
    conditionName: "door",
    inputNode: input,
    highLimit: 10,
    lowLimit: -10,
    optionals: [],
  });
  input.setValueFromSource({ dataType: "Double", value: 50 });
  expect(alarm.activeState.getValue()).toBe(true);
  const record = { ...pointsOf({ node: "i=2253", event: "i=2915" })[0]!, name: "alarm" };
  const fields = pointsOf({ field: "ConditionName" }, { field: "ActiveState/Id" });
  const { heard } = listen(await connected(server), [], [{ ...record, fields }]);
  await until("the alarm", () => heard.records.length > 0);
  input.setValueFromSource({ dataType: "Double", value: 0 });
  const told = () => heard.records.map(({ phase, answers }) => [phase, ...answers.map(bare)]);
  await until("its end", () => told().some(([, , active]) => active === false));
  expect(told()[0]).toEqual(["initial", "door", true]);
  expect(told().at(-1)).toEqual(["occurred", "door", false]);
  expect(told().filter(([phase]) => phase === "initial")).toHaveLength(1);
});

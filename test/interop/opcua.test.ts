import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { discovery } from "../../drivers/opcua/discover.ts";
import { driver } from "../../drivers/opcua/index.ts";
import { settings as settingsSchema } from "../../drivers/opcua/settings.ts";
import type { OpcuaSimulator } from "../../simulators/opcua/index.ts";
import {
  altered,
  at,
  bare,
  codeOf,
  connectTo,
  contextOf,
  errorOf,
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

/** The OPC UA driver before node-opcua's server: what the contract suite does not ask. */

async function connected(server: OpcuaSimulator, more: Record<string, unknown> = {}, deviceId = "device") {
  return kept(await connectTo(settingsOf(server, more), contextOf({ deviceId })));
}

describe("values", () => {
  test("keep the server's quality and time", async () => {
    const server = kept(
      await startServer({ speed: "Double", fill: "Double", worn: "Double", full: "Double" }),
    );
    for (const name of ["speed", "fill", "worn", "full"]) server.set(name, 7.5);
    const beforeMs = Date.now();
    server.space.spoil("fill", "uncertain");
    server.space.spoil("worn", "bad");
    server.space.spoil("full", "overflow");
    const connection = await connected(server);
    const points = pointsOf(...["speed", "fill", "worn", "full"].map((name) => ({ node: at(name) })));
    const { answers } = await connection.read(points, { signal: patient() });
    expect(answers).toMatchObject([
      { value: 7.5, status: "good" },
      { value: 7.5, status: "uncertain", code: "UncertainLastUsableValue" },
      { value: null, status: "bad", code: "BadSensorFailure" },
      { value: 7.5, status: "uncertain", code: "Overflow" },
    ]);
    for (const answer of answers) {
      const { sourceTimeMs = 0 } = answer as { sourceTimeMs?: number };
      expect(Math.abs(sourceTimeMs - beforeMs)).toBeLessThan(2000);
    }
  });

  test("an unknown node, path or namespace is one bad reading beside good ones", async () => {
    const server = kept(await startServer({ speed: "Double" }));
    server.set("speed", 3);
    const connection = await connected(server, { namespaces: { k: "urn:kerb:test" } });
    const points = pointsOf(
      { node: at("speed") },
      { node: at("gone") },
      { node: "nsu=urn:nowhere;i=1" },
      { path: "k:nothing/k:here" },
      { path: "other:x" },
      { path: "{lane}" },
    );
    for (let round = 0; round < 2; round++) {
      const { answers } = await connection.read(points, { signal: patient() });
      expect(
        answers.map((answer) => (typeof answer === "object" ? (answer.code ?? answer.value) : answer)),
      ).toEqual([3, "BadNodeIdUnknown", "unknown-namespace", "BadNoMatch", "unknown-prefix", "unknown-name"]);
    }
  });

  test("go over in pieces where the server reads few nodes at a time", async () => {
    const names = Array.from({ length: 25 }, (_, i) => `v${i}`);
    const server = kept(await startServer(Object.fromEntries(names.map((name) => [name, "Int32"]))));
    const { operationLimits } = server.server.engine.serverCapabilities;
    operationLimits.maxNodesPerRead = 10;
    names.forEach((name, i) => server.set(name, i));
    const connection = await connected(server);
    const before = server.counts.requests;
    const { answers, atMs } = await connection.read(pointsOf(...names.map((name) => ({ node: at(name) }))), {
      signal: patient(),
    });
    expect(answers.map((answer) => (typeof answer === "object" ? answer.value : answer))).toEqual(
      names.map((_, i) => i),
    );
    expect(atMs).toHaveLength(25);
    expect(server.counts.requests - before).toBe(3);
  });
});

describe("writes", () => {
  test("in the type of the node, and refused ones say why", async () => {
    const server = kept(await startServer({ plan: "UInt16", name: "String", big: "Int64", on: "Boolean" }));
    const connection = await connected(server);
    const [plan, name, big, on, gone] = pointsOf(
      { node: at("plan") },
      { node: at("name"), type: "String" },
      { node: at("big") },
      { node: at("on") },
      { node: at("gone"), type: "Int32" },
    );
    await connection.write!(plan!, 12, patient());
    await connection.write!(name!, "nút giao", patient());
    await connection.write!(big!, 2n ** 60n + 1n, patient());
    await connection.write!(on!, true, patient());
    const { answers } = await connection.read([plan!, name!, big!, on!], { signal: patient() });
    expect(answers.map((answer) => (typeof answer === "object" ? answer.value : answer))).toEqual([
      12,
      "nút giao",
      2n ** 60n + 1n,
      true,
    ]);
    expect(await codeOf(connection.write!(plan!, 70_000, patient()))).toBe("rejected");
    expect(await codeOf(connection.write!(plan!, 1.5, patient()))).toBe("rejected");
    expect(await errorOf(connection.write!(gone!, 1, patient()))).toMatchObject({
      code: "rejected",
      message: expect.stringContaining("BadNodeIdUnknown") as string,
    });
    // A refused write is no lost device.
    expect((await connection.read([plan!], { signal: patient() })).answers).toMatchObject([{ value: 12 }]);
  });

  test("of one element of an array change that one", async () => {
    const server = kept(await startServer({ speed: "Double" }));
    const { addressSpace } = server.server.engine;
    const namespace = addressSpace!.getNamespace("urn:kerb:test");
    const variable = namespace.addVariable({
      browseName: "times",
      nodeId: `ns=${namespace.index};s=times`,
      dataType: "Int32",
      valueRank: 1,
      organizedBy: addressSpace!.rootFolder.objects,
    });
    variable.setValueFromSource({ dataType: "Int32", arrayType: "Array", value: new Int32Array([1, 2, 3]) });
    const connection = await connected(server);
    const points = pointsOf(...[0, 1, 2].map((index) => ({ node: at("times"), index })));
    await connection.write!(points[1]!, 20, patient());
    const { answers } = await connection.read(points, { signal: patient() });
    expect(answers.map((answer) => (typeof answer === "object" ? answer.value : answer))).toEqual([1, 20, 3]);
  });

  test("of an address with a method call it", async () => {
    const command = { node: at("controller"), method: "m:RequestPlan", type: "Int32" };
    const naming = { namespaces: { m: "urn:kerb:test" } };
    const server = kept(await startServer({}, naming, []));
    await server.close();
    const { start } = await import("../../simulators/opcua/index.ts");
    const second = kept(
      (await start({
        profile: "",
        points: [{ name: "request", address: command, scale: 1, offset: 0 }],
        settings: { port: 0, ...naming },
        identity: {},
      })) as OpcuaSimulator,
    );
    second.space.refusedValue = 9;
    const connection = await connected(second, naming);
    const [request, shown, missing] = pointsOf(
      command,
      { node: at("controller.m:RequestPlan") },
      { ...command, method: "m:Other" },
    );
    await connection.write!(request!, 5, patient());
    expect((await connection.read([shown!], { signal: patient() })).answers).toMatchObject([{ value: 5 }]);
    expect(await errorOf(connection.write!(request!, 9, patient()))).toMatchObject({ code: "denied" });
    expect(await codeOf(connection.write!(missing!, 1, patient()))).toBe("rejected");
  });
});

describe("a subscription", () => {
  test("gives all values of a queue in their order, with their times", async () => {
    const server = kept(await startServer({ stage: "Int32" }));
    const connection = await connected(server, { publishing: 800 });
    const { heard, done, stop } = listen(
      connection,
      pointsOf({ node: at("stage"), queue: 10, sampling: 20 }),
    );
    await until("the first value", () => heard.values(0).length === 1);
    for (const value of [1, 2, 3, 4, 5]) {
      server.set("stage", value);
      await sleep(80);
    }
    await until("five values", () => heard.values(0).length >= 6);
    expect(heard.values(0)).toEqual([0, 1, 2, 3, 4, 5]);
    const times = heard.readings_.map(({ answer }) => (answer as { sourceTimeMs: number }).sourceTimeMs);
    expect(times.toSorted((a, b) => a - b)).toEqual(times);
    expect(new Set(times.slice(1)).size).toBe(5);
    stop.abort();
    expect(await done).toBe("resolved");
  });

  test("says that a queue was too short", async () => {
    const server = kept(await startServer({ stage: "Int32" }));
    const connection = await connected(server, { publishing: 800 });
    const { heard } = listen(connection, pointsOf({ node: at("stage"), queue: 2, sampling: 20 }));
    await until("the first value", () => heard.values(0).length === 1);
    for (const value of [1, 2, 3, 4, 5]) {
      server.set("stage", value);
      await sleep(80);
    }
    await until("the last value", () => heard.values(0).at(-1) === 5);
    const values = heard.values(0).map(Number);
    expect(values.length).toBeLessThan(6);
    expect([values[0], ...values.slice(-2)]).toEqual([0, 4, 5]);
    expect(values).toEqual(values.toSorted((a, b) => a - b));
    expect(heard.readings_.map(({ answer }) => (answer as { code?: string }).code)).toContain("Overflow");
  });

  test("leaves out what is within the dead band", async () => {
    const server = kept(await startServer({ weight: "Double" }));
    server.set("weight", 100);
    const connection = await connected(server);
    const { heard } = listen(
      connection,
      pointsOf({ node: at("weight"), deadband: 20, sampling: 20, queue: 10 }),
    );
    await until("the first value", () => heard.values(0).length === 1);
    for (const value of [110, 119, 130, 125, 160]) {
      server.set("weight", value);
      await sleep(60);
    }
    await until("the last value", () => heard.values(0).at(-1) === 160);
    expect(heard.values(0)).toEqual([100, 130, 160]);
  });

  test("tells which points must be polled, and gives signs of life without values", async () => {
    const server = kept(await startServer({ speed: "Double" }));
    const connection = await connected(server, { keepAlive: 200 });
    const { heard } = listen(connection, pointsOf({ node: at("speed") }, { node: at("gone") }));
    await until("the refused point", () => heard.polled.length > 0);
    expect(heard.polled).toEqual([1]);
    const before = heard.signs;
    await until("signs of life", () => heard.signs > before + 3);
    expect(heard.values(0)).toHaveLength(1);
  });

  test("asks for a message that is missing, before it hands on the next", async () => {
    const server = kept(await startServer({ stage: "Int32" }));
    const connection = await connected(server);
    const { heard } = listen(connection, pointsOf({ node: at("stage"), queue: 10, sampling: 20 }));
    await until("the first value", () => heard.values(0).length === 1);
    for (let value = 1; value <= 12; value++) {
      const isLost = value === 4 || value === 8;
      if (isLost) server.lose("PublishResponse", 1);
      server.set("stage", value);
      // A value that is overwritten before it is sampled is no message that is missing.
      if (isLost) await sleep(500);
      else await until(`value ${value}`, () => heard.values(0).at(-1) === value);
    }
    await until("the last value", () => heard.values(0).at(-1) === 12);
    expect(heard.values(0)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test("ends where a missing message cannot be had any more", async () => {
    const server = kept(await startServer({ stage: "Int32" }));
    const connection = await connected(server);
    const { heard, done } = listen(connection, pointsOf({ node: at("stage"), sampling: 20 }));
    await until("the first value", () => heard.values(0).length === 1);
    server.forget();
    server.lose("PublishResponse", 1);
    for (let value = 1; value <= 5; value++) {
      server.set("stage", value);
      await sleep(110);
    }
    expect(await done).toBe("hung-up");
  });

  test("goes on after a cut where it was: nothing is missing and there is one session", async () => {
    const server = kept(await startServer({ stage: "Int32" }));
    const points = pointsOf({ node: at("stage"), queue: 50, sampling: 20 });
    const first = await connected(server);
    const before = listen(first, points);
    await until("the first value", () => before.heard.values(0).length === 1);
    server.set("stage", 1);
    await until("a value", () => before.heard.values(0).at(-1) === 1);
    server.cut();
    expect(await before.done).toBe("hung-up");
    await first.close();
    for (let value = 2; value <= 6; value++) {
      server.set("stage", value);
      await sleep(60);
    }
    const lines: string[] = [];
    const second = kept(await connectTo(settingsOf(server), contextOf({}, lines)));
    const after = listen(second, points);
    await until("the last value", () => after.heard.values(0).includes(6));
    server.set("stage", 7);
    await until("a new value", () => after.heard.values(0).at(-1) === 7);
    const all = [...before.heard.values(0), ...after.heard.values(0)];
    expect(all).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(server.sessions).toBe(1);
    expect(lines.join()).toContain("taken over");
  });
});

describe("a session", () => {
  test("is not left behind: 100 cuts, one session; closed, none", { timeout: 120_000 }, async () => {
    const server = kept(await startServer({ speed: "Double" }));
    const points = pointsOf({ node: at("speed"), sampling: 20 });
    let most = 0;
    for (let i = 0; i < 100; i++) {
      const connection = await connectTo(settingsOf(server));
      const { heard, done } = listen(connection, points);
      await until("a value", () => heard.values(0).length > 0);
      most = Math.max(most, server.sessions);
      server.cut();
      expect(await done).toBe("hung-up");
      await connection.close();
    }
    expect(most).toBe(1);
    const last = await connectTo(settingsOf(server));
    await last.close();
    await until("no session", () => server.sessions === 0);
  });

  test("is made anew when the server has forgotten it", async () => {
    const server = kept(await startServer({ speed: "Double" }));
    const points = pointsOf({ node: at("speed") });
    const first = await connected(server);
    const before = listen(first, points);
    await until("a value", () => before.heard.values(0).length > 0);
    server.fault("restart", 50);
    expect(await before.done).toBe("hung-up");
    await first.close();
    await sleep(150);
    const second = await connected(server);
    const after = listen(second, points);
    await until("a value", () => after.heard.values(0).length > 0);
    expect(server.sessions).toBe(1);
  });

  test("whose server dies ends the read that waits at once", async () => {
    const server = kept(await startServer({ speed: "Double" }));
    const connection = await connected(server);
    server.fault("silent");
    const read = codeOf(connection.read(pointsOf({ node: at("speed") }), { signal: patient() }));
    await sleep(100);
    const diedAt = performance.now();
    server.fault("refuse");
    expect(await read).toBe("hung-up");
    expect(performance.now() - diedAt).toBeLessThan(500);
    expect(await codeOf(connection.read(pointsOf({ node: at("speed") }), { signal: patient() }))).toBe(
      "hung-up",
    );
  });

  test("closed towards a dead server takes less than a second", async () => {
    const server = kept(await startServer({ speed: "Double" }));
    const connection = await connected(server, { timeout: 30_000 });
    const { done } = listen(connection, pointsOf({ node: at("speed") }));
    server.fault("silent");
    const closedAt = performance.now();
    await connection.close();
    expect(performance.now() - closedAt).toBeLessThan(1000);
    expect(await done).toBe("closed");
  });
});

describe("a record", () => {
  test("is told once for each change of its trigger, with fields that belong together", async () => {
    const server = kept(await startServer({}, {}, [weighing]));
    const connection = await connected(server);
    const { heard } = listen(connection, [], weighings());
    await until("a sign of life", () => heard.signs > 1);
    expect(heard.records).toEqual([]);
    for (const round of [1, 2, 3]) {
      server.tell("weighing", { ticket: `T${round}`, gross: 1000 * round, tare: 100 * round });
      await until("the weighing", () => heard.records.length === round);
    }
    await sleep(300);
    expect(heard.records.map(({ phase, answers }) => [phase, ...answers.map(bare)])).toEqual([
      ["occurred", "T1", 1000, 100],
      ["occurred", "T2", 2000, 200],
      ["occurred", "T3", 3000, 300],
    ]);
  });

  test("of which two come within one publishing interval is told once, and as the newer one", async () => {
    const server = kept(await startServer({}, {}, [weighing]));
    const connection = await connected(server, { publishing: 400 });
    const { heard } = listen(connection, [], weighings());
    await until("a sign of life", () => heard.signs > 1);
    server.tell("weighing", { ticket: "T1", gross: 1000, tare: 100 });
    await sleep(100);
    server.tell("weighing", { ticket: "T2", gross: 2000, tare: 200 });
    await until("the weighing", () => heard.records.length > 0);
    await sleep(800);
    expect(heard.records.map(({ answers }) => answers.map(bare))).toEqual([["T2", 2000, 200]]);
  });

  test("that was there before is marked as such", async () => {
    const server = kept(await startServer({}, {}, [weighing]));
    server.tell("weighing", { ticket: "T0", gross: 1, tare: 2 });
    const { heard } = listen(await connected(server), [], weighings());
    await until("the weighing", () => heard.records.length === 1);
    expect(heard.records[0]).toMatchObject({ phase: "initial" });
  });
});

const found = async (address: string) => {
  const [host = "", port = ""] = address.split(":");
  const all = [];
  const look = { signal: patient(), forMs: 0, tell: () => {} };
  for await (const one of discovery.atPort!({ host, port: Number(port) }, look)) all.push(one);
  return all;
};

describe("discovery", () => {
  test("a server is found by its port, with what it offers and how it is recognised", async () => {
    const server = kept(await startServer({}));
    const [one, ...others] = await found(server.address);
    expect(others).toEqual([]);
    expect(one).toMatchObject({
      at: { host: "127.0.0.1", port: Number(server.address.split(":")[1]) },
      settings: { security: "sign-and-encrypt", policy: "Basic256Sha256", pin: server.fingerprint },
      identity: {
        model: "K-1",
        more: {
          ApplicationUri: server.server.serverInfo.applicationUri,
          ApplicationType: "Server",
          endpoints: "None, Sign Basic256Sha256, SignAndEncrypt Basic256Sha256",
          certificate: server.fingerprint,
        },
      },
    });
    expect(one!.identity.more?.["logins"]).toMatch(/Anonymous/);
    expect(one!.identity.more?.["logins"]).toMatch(/UserName/);
    expect(Date.parse(one!.identity.more?.["certificateUntil"] ?? "")).toBeGreaterThan(Date.now());
    // What was found can be connected to as it is.
    const connection = kept(await connectTo(settingsSchema.parse({ ...one!.at, ...one!.settings })));
    expect((await connection.identify(patient())).model).toBe("K-1");
  });

  test("servers of which another one tells are asked on the same host, wherever they are said to be", async () => {
    const [first, second] = [kept(await startServer({})), kept(await startServer({}))];
    const port = Number(second.address.split(":")[1]);
    altered(first, "FindServersResponse", ({ servers }: { servers: Record<string, unknown>[] }) => {
      const [own] = servers;
      const told = (applicationUri: string, ...discoveryUrls: string[]) => ({
        ...own,
        applicationUri,
        discoveryUrls,
      });
      const all = [
        told("urn:second", "http://elsewhere/x", `opc.tcp://somewhere-else.invalid:${port}/`),
        told("urn:again", `opc.tcp://one-more.invalid:${port}`),
        told("urn:gone", "opc.tcp://127.0.0.1:1/gone"),
        told("urn:odd", "opc.tcp://127.0.0.1:99999", ":"),
      ];
      for (const one of all)
        servers.push(Object.assign(Object.create(Object.getPrototypeOf(own)) as object, one));
    });
    const all = await found(first.address);
    expect(all.map(({ place }) => place)).toEqual([first.address, second.address]);
  });

  test("a server without FindServers is found all the same", async () => {
    const server = kept(await startServer({}));
    await refusing(server, "FindServers", "BadServiceUnsupported");
    expect(await found(server.address)).toHaveLength(1);
  });
});

test("a closed port is refused, and a connect that is given up ends at once", async () => {
  const server = kept(await startServer({}));
  const wanted = settingsOf(server);
  server.fault("refuse");
  expect(await codeOf(connectTo(wanted))).toBe("refused");
  server.fault("silent");
  await sleep(50);
  const stop = new AbortController();
  const connecting = codeOf(driver.connect(wanted, contextOf(), stop.signal));
  await sleep(50);
  const stoppedAt = performance.now();
  stop.abort();
  expect(await connecting).toBe("aborted");
  expect(performance.now() - stoppedAt).toBeLessThan(200);
});

test("a connect that is given up while the session is being made ends at once and leaves none", async () => {
  const server = kept(await startServer({}));
  server.fault("slow", 400);
  const stop = new AbortController();
  const connecting = codeOf(driver.connect(settingsOf(server, { timeout: 5000 }), contextOf(), stop.signal));
  await until("the session", () => server.sessions === 1);
  const stoppedAt = performance.now();
  stop.abort();
  expect(await connecting).toBe("aborted");
  // The contract says 50 ms; the machine of the tests may be busy.
  expect(performance.now() - stoppedAt).toBeLessThan(150);
  await until("no session", () => server.sessions === 0, 5000);
});

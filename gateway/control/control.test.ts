import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:net";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ask, openControl, type ControlHandler } from "./control.ts";

let folder = "";
let server: Server | undefined;
const clients: Socket[] = [];
const accepted: Socket[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-control-"));
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const socket of accepted.splice(0)) socket.destroy();
  if (server !== undefined) {
    server.close();
    await once(server, "close");
  }
  rmSync(folder, { recursive: true, force: true });
});

async function open(handler: ControlHandler): Promise<string> {
  const path = join(folder, "control.sock");
  server = await openControl(path, handler);
  server.on("connection", (socket: Socket) => accepted.push(socket));
  return path;
}

async function dial(path: string): Promise<Socket> {
  const socket = connect(path);
  clients.push(socket);
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

describe("the control socket", () => {
  it("answers a request with lines, and a failure with its sentence", async () => {
    const path = await open(async function* ({ verb }) {
      yield { verb };
      if (verb === "bad") throw new Error("no such thing");
    });
    const seen: unknown[] = [];
    for await (const data of ask(path, { verb: "good" })) seen.push(data);
    expect(seen).toEqual([{ verb: "good" }]);
    await expect(async () => {
      for await (const data of ask(path, { verb: "bad" })) seen.push(data);
    }).rejects.toThrow("no such thing");
  });

  it.each([
    "",
    "null",
    "[]",
    "1",
    '"ping"',
    "{",
    '{"verb":1}',
    '{"verb":null}',
    '{"verb":"x","args":null}',
    '{"verb":"x","args":[]}',
  ])("says what a request is to whoever sends %j", async (text) => {
    const asked: unknown[] = [];
    const path = await open(async function* (request) {
      asked.push(request);
      yield 1;
    });
    const socket = await dial(path);
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += String(chunk)));
    socket.write(`${text}\n`);
    await once(socket, "close");
    expect(answer).toContain('{"error":"a request is one line of JSON');
    expect(asked).toEqual([]);
  });

  it("does not keep what a client sends after its request", async () => {
    const stop = new AbortController();
    const path = await open(async function* (_request, signal) {
      yield 1;
      await Promise.race([once(signal, "abort"), once(stop.signal, "abort")]);
    });
    const socket = await dial(path);
    const first = once(socket, "data");
    socket.write(`{"verb":"watch"}\n`);
    await first;
    expect(accepted[0]?.listenerCount("data")).toBe(0);
    // It is still read: a client that cannot write would see a gateway that hangs.
    await new Promise((resolve) => socket.write(Buffer.alloc(4_000_000, 97), resolve));
    stop.abort();
  });

  it("gives the place of a client back that neither reads nor hangs up, and he can still read", async () => {
    const path = await open(async function* () {
      yield 1;
    });
    const socket = await dial(path);
    socket.pause();
    const [served] = accepted as [Socket];
    const gone = once(served, "close");
    socket.write(`{"verb":"ping"}\n`);
    await gone;
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += String(chunk))).resume();
    await once(socket, "close");
    expect(answer).toBe('{"data":1}\n');
  }, 10_000);

  it("gives a silent client's place back", async () => {
    const path = await open(async function* () {
      yield 1;
    });
    const socket = await dial(path);
    const startedMs = performance.now();
    socket.resume();
    await once(socket, "close");
    expect(performance.now() - startedMs).toBeGreaterThan(4500);
  }, 10_000);

  it("cuts off a request that never ends", async () => {
    const path = await open(async function* () {
      yield 1;
    });
    const socket = await dial(path);
    socket.resume();
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(Buffer.alloc(200_000, 97));
    const startedMs = performance.now();
    await closed;
    expect(performance.now() - startedMs).toBeLessThan(3000);
  });

  it("takes a report to be signed, and nothing else, beyond the length of a request", async () => {
    const path = await open(async function* ({ verb, args }) {
      yield [verb, String(args?.["report"]).length];
    });
    const report = "x".repeat(5 * 1024 * 1024);
    const answers: unknown[] = [];
    for await (const data of ask(path, { verb: "sign-report", args: { report } })) answers.push(data);
    expect(answers).toEqual([["sign-report", report.length]]);
    for (const line of [
      `{"verb":"status","args":{"report":"${report}"}}`,
      `{"verb":"sign-report"${" ".repeat(17 << 20)}}`,
    ]) {
      const socket = await dial(path);
      const said: Buffer[] = [];
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.on("data", (bytes: Buffer) => said.push(bytes));
      socket.write(`${line}\n`);
      await closed;
      expect(Buffer.concat(said).toString()).toBe("");
    }
    // What was cut off counts no more.
    for await (const data of ask(path, { verb: "sign-report", args: { report } })) answers.push(data);
    expect(answers).toHaveLength(2);
  });

  it("gathers no listeners while a slow reader is answered", async () => {
    const most = { listeners: 0 };
    const path = await open(async function* () {
      for (let i = 0; i < 200; i++) {
        const socket = accepted[0] as Socket;
        most.listeners = Math.max(most.listeners, socket.listenerCount("close"));
        yield "x".repeat(100_000);
      }
    });
    let lines = 0;
    for await (const data of ask(path, { verb: "much" })) lines += data === "" ? 0 : 1;
    expect(lines).toBe(200);
    expect(most.listeners).toBeLessThan(6);
  });
});

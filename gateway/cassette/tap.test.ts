import { connect, createServer, type AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { cassetteLimits } from "./cassette.ts";
import { freePort } from "./tap-calls.ts";
import { openTap } from "./tap.ts";

it("hands on every byte, keeps no more than fit, and says where it ended and who hung up", async () => {
  const chunk = Buffer.alloc(50_000, 0x61);
  const server = createServer((socket) => {
    socket.on("data", () => socket.end(Buffer.concat([chunk, chunk, chunk, chunk])));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const tap = await openTap({ over: "tcp", host: "127.0.0.1", port, moved: () => ({}) });
  try {
    let received = 0;
    const near = connect(tap.place!.port, tap.place!.host);
    near.on("data", (bytes) => (received += bytes.length));
    near.write("?");
    await new Promise((resolve) => near.on("close", resolve));
    expect(received).toBe(4 * chunk.length);
    const kept = tap.tape.connections.flat().reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(kept).toBeGreaterThan(1);
    expect(kept).toBeLessThanOrEqual(cassetteLimits.bytesMax);
    expect(tap.tape.full).toBe("bytes");
  } finally {
    await tap.close();
    server.close();
  }
});

it("keeps that the device hung up", async () => {
  const server = createServer((socket) => {
    socket.on("data", () => socket.end("bye"));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const tap = await openTap({ over: "tcp", host: "127.0.0.1", port, moved: () => ({}) });
  try {
    const near = connect(tap.place!.port, tap.place!.host);
    near.resume();
    near.write("?");
    await new Promise((resolve) => near.on("close", resolve));
    const frames = tap.tape.connections.flat().map(({ from, bytes }) => `${from} ${bytes.toString()}`);
    expect(frames).toEqual(["kerb ?", "device bye", "device "]);
  } finally {
    await tap.close();
    server.close();
  }
});

it("ends while somebody who called inside TLS has said nothing yet", async () => {
  const port = await freePort();
  const tap = await openTap({
    over: "calls",
    host: "127.0.0.1",
    port,
    isOurs: () => undefined,
    secured: () => ({}),
    moved: () => ({}),
  });
  const caller = connect(port, "127.0.0.1").on("error", () => {});
  await new Promise((resolve) => caller.once("connect", resolve));
  const hungUp = new Promise((resolve) => caller.once("close", resolve));
  // The tap has seen the caller only after its own turn.
  await new Promise((resolve) => setTimeout(resolve, 100));
  await tap.close();
  await hungUp;
}, 8000);

it("says why nobody was reached, until somebody is", async () => {
  const port = await freePort();
  const tap = await openTap({ over: "tcp", host: "127.0.0.1", port, moved: () => ({}) });
  const tried = () =>
    new Promise<void>((resolve) => {
      const near = connect(tap.place?.port ?? 0, tap.place?.host, () => near.write("?"));
      near.on("error", () => {});
      near.on("close", () => resolve());
      near.resume();
    });
  await tried();
  expect(tap.failure).toMatchObject({
    code: "refused",
    message: expect.stringContaining(`127.0.0.1:${port}`),
  });
  const server = createServer((socket) => socket.end("bye"));
  try {
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    await tried();
    expect(tap.failure).toBeUndefined();
  } finally {
    await tap.close();
    server.close();
  }
});

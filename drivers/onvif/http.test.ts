import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, it } from "vitest";
import { exchange, type HttpRequest } from "./http.ts";

let server: Server | undefined;
const sockets = new Set<Socket>();
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  server?.close();
  if (server?.listening === true) await once(server, "close");
});

async function ask(serve: (socket: Socket) => void, more: Partial<HttpRequest> = {}) {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => serve(socket));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  return exchange({
    host: "127.0.0.1",
    trust: undefined,
    port,
    path: "/",
    method: "POST",
    headers: {},
    body: "x",
    timeoutMs: 600,
    bytesMax: 10_000,
    signal: new AbortController().signal,
    place: "camera",
    ...more,
  });
}

it("takes no more of an endless answer than it may hold", async () => {
  let written = 0;
  const flood = (socket: Socket): void => {
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    const pour = (): void => {
      for (let i = 0; i < 100 && !socket.destroyed && written < 1e8; i++) {
        written += 65_536;
        if (!socket.write(Buffer.alloc(65_536, 0x20))) return void socket.once("drain", pour);
      }
      if (!socket.destroyed) setImmediate(pour);
    };
    pour();
  };
  await expect(ask(flood, { timeoutMs: 20_000 })).rejects.toMatchObject({ code: "garbage" });
  expect(written).toBeLessThan(2e7);
});

const drip = (socket: Socket): void => {
  socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write("x")), 20);
};

it("counts the whole answer against its time, however steadily it drips", async () => {
  const begunMs = performance.now();
  await expect(ask(drip)).rejects.toMatchObject({ code: "silent" });
  expect(performance.now() - begunMs).toBeLessThan(2000);
});

it.each([
  ["an answer cut in mid-body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "hung-up"],
  [
    "a chunked answer cut in mid-chunk",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhalf",
    "hung-up",
  ],
  ["headers without an end", "HTTP/1.1 200 OK\r\nContent-Le", "hung-up"],
  ["endless headers", `HTTP/1.1 200 OK\r\nX: ${"y".repeat(40_000)}`, "garbage"],
  ["no HTTP", "SSH-2.0-dropbear\r\n", "garbage"],
])("%s settles as %s", async (_name, text, code) => {
  await expect(ask((socket) => socket.end(text))).rejects.toMatchObject({ code });
});

it("gives up at once when it is told to", async () => {
  const stop = new AbortController();
  const call = ask(() => {}, { signal: stop.signal, timeoutMs: 10_000 });
  setTimeout(() => stop.abort(), 50);
  await expect(call).rejects.toMatchObject({ code: "aborted" });
});

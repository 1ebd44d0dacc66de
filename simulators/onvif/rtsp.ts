import type { Socket } from "node:net";
import type { Guard } from "./guard.ts";
import { streamPath } from "./services.ts";

/** The stream's server as far as OPTIONS and DESCRIBE go: it never sends a picture. */

const sdp = [
  "v=0",
  "o=- 1 1 IN IP4 127.0.0.1",
  "s=Media Presentation",
  "t=0 0",
  "m=video 0 RTP/AVP 96",
  "a=rtpmap:96 H264/90000",
  "a=control:trackID=1",
  "",
].join("\r\n");

export function serveRtsp(
  socket: Socket,
  first: string,
  guard: Guard | undefined,
  isStreaming: () => boolean,
): void {
  let received = first;
  const serve = (): void => {
    for (let end = received.indexOf("\r\n\r\n"); end >= 0; end = received.indexOf("\r\n\r\n")) {
      const request = received.slice(0, end);
      received = received.slice(end + 4);
      socket.write(answer(request, guard, isStreaming()));
    }
    if (received.length > 16_384) socket.destroy();
  };
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
    serve();
  });
  serve();
}

function answer(request: string, guard: Guard | undefined, isStreaming: boolean): string {
  const [, method = "", url = ""] = /^(\w+) (\S+) RTSP\/1\.\d/.exec(request) ?? [];
  const header = (name: string): string =>
    new RegExp(`^${name}: *(.*)$`, "im").exec(request)?.[1]?.trim() ?? "";
  const reply = (status: string, lines: string[] = [], body = ""): string =>
    [
      `RTSP/1.0 ${status}`,
      `CSeq: ${header("CSeq")}`,
      ...lines,
      ...(body === "" ? [] : ["Content-Type: application/sdp", `Content-Length: ${body.length}`]),
      "",
      body,
    ].join("\r\n");
  if (method === "OPTIONS") return reply("200 OK", ["Public: OPTIONS, DESCRIBE"]);
  if (method !== "DESCRIBE") return reply("405 Method Not Allowed");
  if (guard !== undefined) {
    const given = guard.digest(header("Authorization"), "DESCRIBE", url);
    if (given !== "good")
      return reply(
        "401 Unauthorized",
        guard.challenges(given === "stale").map((one) => `WWW-Authenticate: ${one}`),
      );
  }
  if (!isStreaming) return reply("503 Service Unavailable");
  return new URL(url).pathname === streamPath ? reply("200 OK", [], sdp) : reply("404 Not Found");
}

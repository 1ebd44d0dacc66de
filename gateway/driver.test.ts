import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { socketErrorCode } from "./driver.ts";

const coded = (code: unknown) => Object.assign(new Error("it failed"), { code });

describe("an error of a socket", () => {
  it("says what became of the device, as the system has it", async () => {
    const server = createServer((socket) => socket.resetAndDestroy()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const failure = async () => {
      const socket = connect(port, "127.0.0.1").resume();
      return socketErrorCode((await once(socket, "close").catch((reason: Error) => reason)) as Error);
    };
    expect(await failure()).toBe("hung-up");
    server.close();
    await once(server, "close");
    expect(await failure()).toBe("refused");
  });

  it.each([
    ["EPIPE", "hung-up"],
    ["ETIMEDOUT", "silent"],
    ["EHOSTUNREACH", "unreachable"],
    ["EHOSTDOWN", "unreachable"],
    ["ENETUNREACH", "unreachable"],
    ["ENETDOWN", "unreachable"],
    ["EADDRNOTAVAIL", "unreachable"],
    ["ENOTFOUND", "unreachable"],
    ["EAI_AGAIN", "unreachable"],
    ["EACCES", undefined],
    ["toString", undefined],
    [0x87, undefined],
    [undefined, undefined],
  ])("%s is %s", (code, meaning) => expect(socketErrorCode(coded(code))).toBe(meaning));

  it("of several addresses is that of the first", () => {
    const tried = new AggregateError([coded("ECONNREFUSED"), coded("ENETUNREACH")]);
    expect(socketErrorCode(tried)).toBe("refused");
  });
});

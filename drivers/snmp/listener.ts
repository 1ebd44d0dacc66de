import { createSocket, type Socket } from "node:dgram";
import { DeviceError, type DriverContext } from "../../gateway/driver.ts";
import { readHeader, type Header } from "./header.ts";

/** Unknown senders are reported so often. */
const reportEveryMs = 60_000;

/** Where a message came from, and the way back. */
export interface Origin {
  readonly address: string;
  readonly port: number;
  readonly reply: (bytes: Uint8Array) => void;
}

/** One device that waits for its notifications. */
export interface Member {
  readonly from: string;
  expects(header: Header): boolean;
  hear(bytes: Buffer, header: Header, origin: Origin): void;
}

/** The listeners of this process by address and port: devices share them. */
const listeners = new Map<string, Listener>();

/** Joins, or opens, the listener at this place; gives back how to leave. Rejects with busy, denied, unreachable. */
export async function joinListener(
  address: string,
  port: number,
  member: Member,
  context: DriverContext,
): Promise<() => void> {
  const place = `${address}:${port}`;
  let listener = listeners.get(place);
  if (listener === undefined) {
    listener = new Listener(address, port);
    listeners.set(place, listener);
  }
  listener.members.set(member, context);
  const leave = (): void => {
    listener.members.delete(member);
    if (listener.members.size > 0) return;
    if (listeners.get(place) === listener) listeners.delete(place);
    listener.close();
  };
  try {
    await listener.opened;
  } catch (error) {
    leave();
    throw error;
  }
  return leave;
}

class Listener {
  readonly members = new Map<Member, DriverContext>();
  readonly opened: Promise<void>;
  readonly #place: string;
  readonly #socket: Socket;
  #strangers = 0;
  #reportedMs = -Infinity;
  #isClosed = false;

  constructor(address: string, port: number) {
    this.#place = `${address}:${port}`;
    this.#socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    this.opened = new Promise<void>((resolve, reject) => {
      this.#socket.once("listening", resolve);
      this.#socket.once("error", (error: NodeJS.ErrnoException) => reject(this.#explained(error)));
    });
    this.#socket.on("message", (bytes, { address: from, port: fromPort }) =>
      this.#take(bytes, from, fromPort),
    );
    this.#socket.bind(port, address);
    this.#socket.unref();
    this.opened.then(
      () => this.#socket.on("error", () => {}),
      () => {},
    );
  }

  #explained({ code, message }: NodeJS.ErrnoException): DeviceError {
    const where = `notifications at ${this.#place}`;
    if (code === "EADDRINUSE")
      return new DeviceError(
        "busy",
        `${where}: another program listens there (snmptrapd?); name a free port`,
      );
    if (code === "EACCES" || code === "EPERM")
      return new DeviceError("denied", `${where}: kerb may not listen there; name a port above 1023`);
    return new DeviceError("unreachable", `${where}: ${message}`);
  }

  #take(bytes: Buffer, from: string, port: number): void {
    const address = from.replace(/^::ffff:/, "");
    const header = readHeader(bytes);
    const member =
      header === undefined
        ? undefined
        : [...this.members.keys()].find((one) => one.from === address && one.expects(header));
    if (header === undefined || member === undefined) {
      this.#report(address);
      return;
    }
    const reply = (answer: Uint8Array): void => {
      if (!this.#isClosed) this.#socket.send(answer, port, from, () => {});
    };
    member.hear(bytes, header, { address, port, reply });
  }

  /** Counts who is not expected, and says so once a minute, on behalf of some device. */
  #report(address: string): void {
    this.#strangers++;
    const nowMs = performance.now();
    if (nowMs - this.#reportedMs < reportEveryMs) return;
    const [context] = this.members.values();
    const what = `${this.#strangers} datagrams that no device of the site may send, the last from ${address}`;
    context?.log("warn", `notifications at ${this.#place}: ${what}`);
    this.#strangers = 0;
    this.#reportedMs = nowMs;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }
}

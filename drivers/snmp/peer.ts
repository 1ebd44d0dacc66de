import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { EventEmitter } from "node:events";
import { isIP } from "node:net";
import { DeviceError } from "../../gateway/driver.ts";
import { aborted } from "./errors.ts";

/**
 * A UDP socket that is connected to one device: the kernel drops what comes from elsewhere, and tells that nothing
 * listens there. net-snmp takes it for a socket of its own (`dgramModule`).
 */
export class Peer extends EventEmitter {
  readonly #socket: Socket;
  #isClosed = false;
  /** Hears that the network has refused what was sent; the code of the system's error. */
  onRefused: ((code: string) => void) | undefined;
  /** Says whether a datagram may go on to net-snmp. */
  admit: (bytes: Buffer) => boolean = () => true;

  private constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on("message", (bytes, { address, port }) => {
      if (this.admit(bytes)) this.emit("message", bytes, { address, port });
    });
    socket.on("error", (error: NodeJS.ErrnoException) => this.onRefused?.(error.code ?? "EIO"));
    socket.unref();
  }

  /** Throws a `DeviceError`: unreachable, aborted. */
  static async connect(host: string, port: number, place: string, signal: AbortSignal): Promise<Peer> {
    if (signal.aborted) throw aborted(place);
    const address = await race(addressOf(host, place), signal, place);
    const socket = createSocket(isIP(address) === 6 ? "udp6" : "udp4");
    const connected = new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", (error) =>
        reject(new DeviceError("unreachable", `${place}: ${error.message}`, { cause: error })),
      );
      socket.connect(port, address);
    });
    try {
      await race(connected, signal, place);
    } catch (error) {
      connected.catch(() => {});
      socket.close();
      throw error;
    }
    socket.removeAllListeners();
    return new Peer(socket);
  }

  /** Own IPv4 address towards the device, 4 octets; zeros on IPv6. */
  ownAddress(): Buffer {
    const { address, family } = this.#socket.address();
    return family === "IPv4" ? Buffer.from(address.split(".").map(Number)) : Buffer.alloc(4);
  }

  remoteAddress(): string {
    return this.#socket.remoteAddress().address;
  }

  // What net-snmp calls.

  send(
    bytes: Buffer,
    offset: number,
    length: number,
    _port: number,
    _address: string,
    sent: (error: Error | null) => void,
  ): void {
    if (this.#isClosed) {
      sent(new DeviceError("closed", "the socket is closed"));
      return;
    }
    this.#socket.send(bytes, offset, length, (error) => {
      if (error !== null) this.onRefused?.((error as NodeJS.ErrnoException).code ?? "EIO");
    });
    // At once: a request that is waited for can be given up at any time.
    sent(null);
  }

  ref(): void {}
  unref(): void {}
  bind(): void {}

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }
}

async function addressOf(host: string, place: string): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    return (await lookup(host)).address;
  } catch (error) {
    throw new DeviceError("unreachable", `${place}: no address for this name`, { cause: error });
  }
}

async function race<T>(call: Promise<T>, signal: AbortSignal, place: string): Promise<T> {
  const given = Promise.withResolvers<never>();
  const giveUp = (): void => given.reject(aborted(place));
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();
  try {
    return await Promise.race([call, given.promise]);
  } finally {
    signal.removeEventListener("abort", giveUp);
    call.catch(() => {});
  }
}

import { readFileSync } from "node:fs";
import { connect, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { DeviceError } from "../../gateway/driver.ts";
import { unreachable } from "./errors.ts";
import { placeOf, portOf } from "./names.ts";
import type { Settings } from "./settings.ts";

/** The stream inside TLS, where the settings want it. Throws where a file of a certificate cannot be used. */
export function secured(socket: Socket, { tls, host }: Settings): Duplex {
  if (tls === undefined) return socket;
  const serverName = tls.serverName ?? (isIP(host) === 0 ? host : undefined);
  return connectTls({
    socket,
    host,
    ...(tls.ca === undefined ? {} : { ca: readFileSync(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: readFileSync(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: readFileSync(tls.key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  });
}

/** Connects to the broker without a word of MQTT. Rejects with `refused`, `unreachable`, `denied` or `silent`. */
export function reach(settings: Settings): Promise<Duplex> {
  const place = placeOf(settings);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: settings.host, port: portOf(settings), noDelay: true });
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new DeviceError("silent", `${place}: no TLS within ${settings.timeout} ms`)),
      settings.timeout,
    );
    const unsure = (error: Error): void => fail(unreachable(place, error));
    const denied = (error: unknown): void =>
      fail(new DeviceError("denied", `${place}: ${(error as Error).message}`, { cause: error }));
    socket.once("error", unsure);
    socket.once("connect", () => {
      try {
        const stream = secured(socket, settings);
        socket.off("error", unsure).on("error", denied);
        stream.once("error", denied);
        stream.once(settings.tls === undefined ? "ready" : "secureConnect", () => {
          clearTimeout(timer);
          resolve(stream.off("error", denied));
        });
      } catch (error) {
        denied(error);
      }
    });
  });
}

import {
  type DevicePlace,
  type Diagnosis,
  type Facts,
  type Failure,
  tlsFacts,
} from "../../gateway/driver.ts";
import type { Settings } from "./settings.ts";

/** What is known of why a device with an HTTP API fails. */

function place({ host, port, tls, webhook }: Settings): DevicePlace {
  if (host !== undefined) return { over: "tcp", host, port: port ?? (tls === undefined ? 80 : 443) };
  const { address = "", at = "0" } =
    /^\[?(?<address>.*?)\]?:(?<at>\d+)$/.exec(webhook?.listen ?? "")?.groups ?? {};
  return { over: "calls", host: address, port: Number(at) };
}

function statusIn(message: string): number | undefined {
  const found = /\((\d{3})\)|the server answers (\d{3})/.exec(message);
  return found === null ? undefined : Number(found[1] ?? found[2]);
}

function facts({ message, code }: Failure, settings: Settings): Facts {
  const status = statusIn(message);
  const to = /the server redirects (?:to )?(.*), which is not followed/.exec(message)?.[1];
  const content = /the answer is (.*) and not (.*)$/.exec(message);
  const path = /: GET (\S+?):? /.exec(message)?.[1];
  return {
    ...(code === "denied" || status === undefined ? tlsFacts(message) : {}),
    "http.hasLogin": settings.auth !== undefined,
    ...(path === undefined ? {} : { "http.path": path }),
    ...(status === undefined
      ? {}
      : { "http.status": status, rung: status === 401 || status === 403 ? "login" : "protocol" }),
    ...(to === undefined ? {} : { "http.redirect": to, rung: "protocol" }),
    ...(content === null ? {} : { "http.content": content[1] ?? "", "http.wanted": content[2] ?? "" }),
    ...(/what came is not HTTP/.test(message) ? { "http.notHttp": true } : {}),
    ...(code === "garbage" && content === null && path !== undefined ? { "http.unreadable": true } : {}),
    ...(/cannot listen/.test(message) ? { "listen.failed": true, rung: "port" } : {}),
  };
}

export const diagnosis: Diagnosis<Settings> = { place, facts };

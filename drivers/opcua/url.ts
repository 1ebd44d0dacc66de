import type { Settings } from "./settings.ts";

/** "opc.tcp://192.168.1.9:4840/UA" and, for messages, "192.168.1.9:4840". */
export function urlOf({ endpoint, host = "", port, path: below }: Settings): { url: string; place: string } {
  const shown = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  const behind = below === "" || below.startsWith("/") ? below : `/${below}`;
  const url = endpoint ?? `opc.tcp://${shown}:${port}${behind}`;
  const [, authority = "", rest = ""] = /^opc\.tcp:\/\/([^/]+)(.*)$/s.exec(url) ?? [];
  const place = /:\d+$/.test(authority) ? authority : `${authority}:4840`;
  return { url: `opc.tcp://${place}${rest}`, place };
}

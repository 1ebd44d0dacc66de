import { XMLParser } from "fast-xml-parser";

/** XML as a camera writes it: namespaces by prefix, attributes in double quotes. */

const namespaces = {
  env: "http://www.w3.org/2003/05/soap-envelope",
  tds: "http://www.onvif.org/ver10/device/wsdl",
  trt: "http://www.onvif.org/ver10/media/wsdl",
  trc: "http://www.onvif.org/ver10/recording/wsdl",
  tev: "http://www.onvif.org/ver10/events/wsdl",
  tt: "http://www.onvif.org/ver10/schema",
  wsnt: "http://docs.oasis-open.org/wsn/b-2",
  wstop: "http://docs.oasis-open.org/wsn/t-1",
  xs: "http://www.w3.org/2001/XMLSchema",
  wsa5: "http://www.w3.org/2005/08/addressing",
  ter: "http://www.onvif.org/ver10/error",
  tns1: "http://www.onvif.org/ver10/topics",
};

export function text(value: string | number | boolean): string {
  return String(value)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** One element with its attributes; `inner` is XML. */
export function tag(name: string, inner = "", attributes: Record<string, string> = {}): string {
  const given = Object.entries(attributes).map(([key, value]) => ` ${key}="${text(value)}"`);
  return `<${name}${given.join("")}>${inner}</${name}>`;
}

export function envelope(body: string): string {
  const declared = Object.entries(namespaces).map(([prefix, uri]) => `xmlns:${prefix}="${uri}"`);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<env:Envelope ${declared.join(" ")}><env:Body>${body}</env:Body></env:Envelope>`;
}

export function fault(subcode: string, reason: string, code = "env:Sender"): string {
  return envelope(
    tag(
      "env:Fault",
      tag("env:Code", tag("env:Value", code) + tag("env:Subcode", tag("env:Value", subcode))) +
        tag("env:Reason", tag("env:Text", text(reason), { "xml:lang": "en" })),
    ),
  );
}

type Node = Record<string, unknown>;

/** A request as far as the pretend camera looks at it. */
export interface Request {
  operation: string;
  body: Node;
  header: Node;
}

const reader = new XMLParser({ ignoreAttributes: true, removeNSPrefix: true, parseTagValue: false });

export function child(node: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>(
    (here, name) => (typeof here === "object" && here !== null ? (here as Node)[name] : undefined),
    node,
  );
}

/** Reads a request; undefined: it is none. */
export function readRequest(xml: string): Request | undefined {
  try {
    const tree: unknown = reader.parse(xml);
    const body = child(tree, "Envelope", "Body");
    if (typeof body !== "object" || body === null) return undefined;
    const [operation] = Object.keys(body);
    const header = child(tree, "Envelope", "Header");
    return operation === undefined
      ? undefined
      : { operation, body: (child(body, operation) || {}) as Node, header: (header || {}) as Node };
  } catch {
    return undefined;
  }
}

/** The text of an element of a request; empty when it is not there. */
export function words(node: unknown, ...path: string[]): string {
  const found = child(node, ...path);
  return typeof found === "string" ? found : "";
}

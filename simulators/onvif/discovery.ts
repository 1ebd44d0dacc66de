import { createSocket } from "node:dgram";
import { once } from "node:events";
import { tag, text } from "./xml.ts";

/** WS-Discovery's answering side. Multicast reaches real networks: only for a network namespace or a loopback. */

const group = "239.255.255.250";
const discoveryPort = 3702;

const namespaces = {
  "xmlns:env": "http://www.w3.org/2003/05/soap-envelope",
  "xmlns:wsa": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
  "xmlns:d": "http://schemas.xmlsoap.org/ws/2005/04/discovery",
  "xmlns:dn": "http://www.onvif.org/ver10/network/wsdl",
};

function probeMatch(relatesTo: string, addresses: readonly string[], name: string): string {
  const scopes = ["type/video_encoder", `name/${encodeURIComponent(name)}`, "hardware/K-1", "Profile/T"];
  const header =
    tag("wsa:MessageID", "urn:uuid:0a6dc791-2be6-4991-9af1-454778a1917a") +
    tag("wsa:RelatesTo", text(relatesTo)) +
    tag("wsa:To", "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous") +
    tag("wsa:Action", "http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches");
  const match =
    tag("wsa:EndpointReference", tag("wsa:Address", `urn:uuid:${addresses.join("").length}-${text(name)}`)) +
    tag("d:Types", "dn:NetworkVideoTransmitter") +
    tag("d:Scopes", scopes.map((scope) => `onvif://www.onvif.org/${scope}`).join(" ")) +
    tag("d:XAddrs", addresses.map(text).join(" ")) +
    tag("d:MetadataVersion", "1");
  const body = tag("d:ProbeMatches", tag("d:ProbeMatch", match));
  return `<?xml version="1.0" encoding="UTF-8"?>${tag("env:Envelope", tag("env:Header", header) + tag("env:Body", body), namespaces)}`;
}

/** Answers probes that arrive at the interface of `from`, with these addresses; returns how to end it. */
export async function answerProbes(
  from: string,
  addresses: readonly string[],
  name: string,
): Promise<() => Promise<void>> {
  const ear = createSocket({ type: "udp4", reuseAddr: true });
  const mouth = createSocket("udp4");
  ear.on("message", (message, asker) => {
    const xml = message.toString("utf8");
    const [, id] = /MessageID[^>]*>([^<]{1,200})</.exec(xml) ?? [];
    if (!/[<:]Probe[\s>]/.test(xml) || id === undefined) return;
    mouth.send(probeMatch(id, addresses, name), asker.port, asker.address);
  });
  mouth.bind(0, from);
  await once(mouth, "listening");
  ear.bind(discoveryPort);
  await once(ear, "listening");
  ear.addMembership(group, from);
  return async () => {
    for (const socket of [ear, mouth]) {
      const closed = once(socket, "close");
      socket.close();
      await closed;
    }
  };
}

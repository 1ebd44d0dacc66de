/** Where a broker is. */
export interface Endpoint {
  host: string;
  port: number;
  isSecure: boolean;
}

/** Of its URL; a port that is not said is that of MQTT, or of MQTT over TLS. */
export function endpointOf({ url }: { url: string }): Endpoint {
  const { protocol, hostname, port } = new URL(url.replace(/^tcp:/, "mqtt:").replace(/^ssl:/, "mqtts:"));
  const isSecure = protocol === "mqtts:";
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  return { host, isSecure, port: port === "" ? (isSecure ? 8883 : 1883) : Number(port) };
}

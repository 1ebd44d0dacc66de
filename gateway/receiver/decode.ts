import { inflate, type DecodedBatch } from "../uplink/encoding.ts";
import { decodeCloudEvents } from "../uplink/cloudevents.ts";
import { decodeColumnar } from "../uplink/columnar.ts";

/**
 * Decodes one message of either encoding, compressed or not, told apart by its first bytes (kerb contract v1:
 * zstd, gzip, "{" columnar or a single CloudEvent, "[" a CloudEvents batch). Throws on anything else.
 */
export function decodeBatch(payload: Uint8Array): DecodedBatch {
  const json: unknown = JSON.parse(Buffer.from(inflate(payload)).toString("utf8"));
  if (typeof json !== "object" || json === null) throw new RangeError("a batch is a JSON object or array");
  return Array.isArray(json) || "specversion" in json ? decodeCloudEvents(json) : decodeColumnar(json);
}

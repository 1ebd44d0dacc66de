import type { KeyObject } from "node:crypto";
import {
  documentBytesMax,
  isMistake,
  parseTwin,
  signTwin,
  type TwinContent,
  type TwinDocument,
  wantedHash,
} from "../../twin/document.ts";

/** What an IOC wants a gateway's configuration to be. */
export interface WantedTwin {
  gateway: string;
  /** The whole of it, by section; {} = as the files of the box say. */
  cfg: Record<string, unknown>;
  /** One of `twin.issuers` of the site file, or one of its people: "an.nguyen@ioc". */
  by: string;
  /** Higher than every one before; the time in ms, which no broker can drive up. */
  ver?: number;
}

/** A signed document, made now. Throws `RangeError` on what no gateway would read: JSON, form, size. */
export function makeTwin(
  { gateway, cfg, by, ver }: WantedTwin,
  key: KeyObject,
  nowMs = Date.now(),
): TwinDocument {
  const at = Math.round(nowMs);
  const content: TwinContent = { v: 1, gw: gateway, ver: ver ?? at, by, at, hash: wantedHash(cfg), cfg };
  const document = signTwin(content, key);
  const bytes = Buffer.from(JSON.stringify(document));
  const read = parseTwin(bytes);
  if (!isMistake(read)) return document;
  const size =
    read.code === "KERB-TWIN-SIZE" ? `it has ${bytes.length} of ${documentBytesMax} bytes` : read.text;
  throw new RangeError(size);
}

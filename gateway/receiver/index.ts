/** The receiver as a library: what an IOC embeds that does not run `kerb receive`. */
export { Dictionary, type DecodedBatch } from "../uplink/encoding.ts";
export type { EventReading, KerbEvent } from "../event.ts";
export type { Acknowledgement } from "./acknowledge.ts";
export { ChainHash, chainStart } from "../uplink/canonical.ts";
export { sealHead, type Seal } from "../uplink/seal.ts";
export { Signer, type Certificate, type CertificatePage } from "./certificates.ts";
export { Commander, type CommanderOptions, type Followed } from "./commands/commander.ts";
export { issuerKeyOf, makeCommand, newIssuerKey, type Wanted } from "./commands/make.ts";
export type { CommandRow } from "./commands/record.ts";
export type { CommandState } from "../commands/state.ts";
export { decodeBatch } from "./decode.ts";
export { receiverApi, serveApi } from "./http.ts";
export { Ledger } from "./ledger.ts";
export { BrokerLink, type BrokerOptions } from "./mqtt.ts";
export { Receiver, type ReceiverOptions } from "./receiver.ts";
export { StoreError } from "./database.ts";

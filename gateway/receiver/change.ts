/** Something that a person who watches the receiver wants to know; `text` is one sentence, the rest its parts. */
export interface Change {
  kind:
    | "connected"
    | "lost"
    | "gateway-first"
    | "gateway-online"
    | "gateway-offline"
    | "rejected"
    | "store-failed"
    | "store-recovered";
  gateway?: string;
  text: string;
  session?: number | undefined;
  epoch?: number | undefined;
  broker?: string;
  /** Why the broker is lost or cannot be reached, the message was rejected, or the store has failed. */
  reason?: string;
  /** Of a message that was rejected; how many of the gateway's have been by now. */
  lane?: string;
  count?: number;
  /** The store's file. */
  database?: string;
}

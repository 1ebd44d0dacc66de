import {
  ClientSecureChannelLayer,
  setDebugLogger,
  setErrorLogger,
  setWarningLogger,
} from "node-opcua-client";

/**
 * The one place that sets up node-opcua for the whole process. Its secure channel and its codec are used; its
 * client is not, because that reconnects, retries and keeps timers by itself.
 */

// It prints to the console, certificates included.
const silent = (): void => {};
setDebugLogger(silent);
setErrorLogger(silent);
setWarningLogger(silent);
// Deadlines are ours; it raises shorter ones to 5 s.
ClientSecureChannelLayer.minTransactionTimeout = 1;

export * from "node-opcua-client";

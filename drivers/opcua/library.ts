import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
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

const openers = new AsyncLocalStorage<(socket: Socket) => void>();
subscribe("net.client.socket", (message) => {
  openers.getStore()?.((message as { socket: Socket }).socket);
});

/** Runs `work` and hands over the sockets that the library opens for it, which it shows to nobody else. */
export function withSocket(opened: (socket: Socket) => void, work: () => void): void {
  openers.run(opened, work);
}

export * from "node-opcua-client";

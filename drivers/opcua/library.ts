import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe } from "node:diagnostics_channel";
import { createRequire } from "node:module";
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

type Factory = NonNullable<ConstructorParameters<typeof ClientSecureChannelLayer>[0]["transportFactory"]>;
type Transport = ReturnType<Factory["create"]>;
type Limits = Record<"receiveBufferSize" | "sendBufferSize" | "maxMessageSize" | "maxChunkCount", number>;

// A part of the library that its client does not show.
const inside = createRequire(createRequire(import.meta.url).resolve("node-opcua-client"));
const { defaultClientTransportFactory } = inside("node-opcua-transport") as {
  defaultClientTransportFactory: Factory;
};
interface Stream {
  readonly buffer: Buffer;
  readonly length: number;
}
const { BinaryStream } = inside("node-opcua-binary-stream") as {
  BinaryStream: { createGrowable(bytes: number, bytesMax: number): Stream };
};
const { encodeExpandedNodeId } = inside("node-opcua-basic-types") as {
  encodeExpandedNodeId: (id: unknown, stream: Stream) => void;
};

/** What the library makes of a request or its answer. */
export interface Message {
  readonly schema: { readonly name: string; readonly encodingDefaultBinary?: unknown };
  encode(stream: unknown): void;
}

/** A message as it stands in a channel: the number of its type, then itself (OPC 10000-6, 5.2.9). */
export function messageBytes(message: Message, bytesMax: number): Buffer {
  const stream = BinaryStream.createGrowable(1024, bytesMax);
  encodeExpandedNodeId(message.schema.encodingDefaultBinary, stream);
  message.encode(stream);
  return Buffer.from(stream.buffer.subarray(0, stream.length));
}

/** Less than any server must take (OPC 10000-6, 7.1.2.3: 8192). */
const chunkBytesMin = 1024;

/**
 * Sockets that receive what `own` says and send what the server's acknowledgement says (OPC 10000-6, 7.1.2.4). The
 * library by itself takes the server's limits for its own and the other way round.
 */
export function transportsWith(own: Limits): Factory {
  return {
    create(settings) {
      const transport = defaultClientTransportFactory.create(settings) as Transport & {
        setLimits(limits: Limits): void;
        parameters?: Limits;
      };
      const setLimits = transport.setLimits.bind(transport);
      transport.setLimits = (servers) => {
        const theirs = servers.receiveBufferSize === 0 ? own.sendBufferSize : servers.receiveBufferSize;
        const sendBufferSize = Math.max(chunkBytesMin, Math.min(theirs, own.sendBufferSize));
        // The size of the chunks that are sent.
        if (transport.parameters !== undefined) transport.parameters.sendBufferSize = sendBufferSize;
        setLimits({ ...own, sendBufferSize });
      };
      return transport;
    },
  };
}

export * from "node-opcua-client";

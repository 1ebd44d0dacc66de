import { createRequire } from "node:module";
import { type AddressInfo, createServer, type Socket } from "node:net";
import {
  ActivateSessionResponse,
  ApplicationType,
  CloseSessionResponse,
  CreateSessionResponse,
  EndpointDescription,
  GetEndpointsResponse,
  MessageSecurityMode,
  NodeId,
  SecurityPolicy,
  ServerSecureChannelLayer,
  ServiceFault,
  setDebugLogger,
  setErrorLogger,
  setWarningLogger,
  StatusCodes,
  UserTokenPolicy,
  UserTokenType,
} from "node-opcua-client";

/**
 * A server's end of channels and sessions without any security, on the part of the library that every install has.
 * What is asked inside a session is another's to answer.
 */

const silent = (): void => {};
setDebugLogger(silent);
setErrorLogger(silent);
setWarningLogger(silent);

type Layer = ServerSecureChannelLayer;
export type Response = Parameters<Layer["send_response"]>[1];
type Heard = Parameters<Layer["send_response"]>[2];
export type Request = Heard["request"];

const transportProfile = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary";
const sessionMs = 3_600_000;
const tokenMs = 3_600_000;
const handshakeMs = 10_000;
const callersMax = 64;
const idType = 4;

export function fault(
  code:
    | "BadServiceUnsupported"
    | "BadNoSubscription"
    | "BadSubscriptionIdInvalid"
    | "BadSessionIdInvalid"
    | "BadTooManyPublishRequests",
): ServiceFault {
  return new ServiceFault({ responseHeader: { serviceResult: StatusCodes[code] } });
}

interface Stream {
  length: number;
}
// Parts of the library that its client does not show.
const inside = createRequire(createRequire(import.meta.url).resolve("node-opcua-client"));
const { BinaryStream } = inside("node-opcua-binary-stream") as {
  BinaryStream: new (bytes: Buffer) => Stream;
};
const { decodeExpandedNodeId } = inside("node-opcua-basic-types") as {
  decodeExpandedNodeId: (stream: Stream) => NodeId;
};
const { getStandardDataTypeFactory } = inside("node-opcua-factory") as {
  getStandardDataTypeFactory: () => { constructObject(id: NodeId): { decode(stream: Stream): void } };
};

/** The request or response in a message. Throws where there is none. */
export function messageOf(bytes: Buffer): Request | Response {
  const stream = new BinaryStream(bytes);
  const message = getStandardDataTypeFactory().constructObject(decodeExpandedNodeId(stream));
  message.decode(stream);
  return message as Request | Response;
}

/** A message with contents as they are: what the library's constructors copy loses structures that it does not know. */
export function filled<Message extends object>(message: Message, contents: Partial<Message>): Message {
  return Object.assign(message, contents);
}

/** One client that is connected. */
export interface Caller {
  /** Answers what is asked inside a session; undefined: later, by `answer`. */
  serve(request: Request, answer: (response: Response) => void): Response | undefined;
  gone(): void;
}

/** Listens in clear. Rejects with the socket's error when the place is taken. */
export async function listenInClear(
  { host, port }: { host: string; port: number },
  connected: () => Caller,
): Promise<{ port: number; close(): Promise<void> }> {
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
    const { localPort = 0 } = socket;
    new Line(`opc.tcp://${host}:${localPort}`, connected()).open(socket);
  });
  server.maxConnections = callersMax;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

let tokens = 0;
const newToken = (): NodeId => new NodeId(idType, Buffer.from(`session ${++tokens}`));

/** One channel; its session lasts as long as it does. */
class Line {
  readonly #caller: Caller;
  readonly #layer: Layer;
  readonly #endpoint: EndpointDescription;
  readonly #sessions = new Set<string>();

  constructor(url: string, caller: Caller) {
    this.#caller = caller;
    this.#endpoint = endpointOf(url);
    this.#layer = new ServerSecureChannelLayer({
      parent: {
        // Of a channel without security none of it is used.
        certificateManager: undefined as never,
        getCertificate: () => Buffer.alloc(0),
        getCertificateChain: () => [],
        getKeyOperations: () => undefined as never,
        getEndpointDescription: (mode, policy) =>
          mode === MessageSecurityMode.None && policy === SecurityPolicy.None ? this.#endpoint : null,
      },
      timeout: handshakeMs,
      defaultSecureTokenLifetime: tokenMs,
    });
  }

  open(socket: Socket): void {
    const layer = this.#layer;
    layer.on("abort", () => socket.destroy());
    layer.on("message", (message: Heard) => this.#heard(message));
    socket.on("close", () => this.#caller.gone());
    layer.init(socket as Parameters<Layer["init"]>[0], (error) => {
      if (error) socket.destroy();
    });
  }

  #heard(message: Heard): void {
    const { request } = message;
    const answer = (response: Response): void => {
      try {
        this.#layer.send_response("MSG", response, message);
      } catch {
        // The channel has gone meanwhile.
      }
    };
    const own = this.#session(request);
    const token = request.requestHeader.authenticationToken.toString();
    if (own !== undefined) answer(own);
    else if (!this.#sessions.has(token)) answer(fault("BadSessionIdInvalid"));
    else {
      const response = this.#caller.serve(request, answer);
      if (response !== undefined) answer(response);
    }
  }

  /** What makes a session, and ends it. */
  #session(request: Request): Response | undefined {
    const { authenticationToken } = request.requestHeader;
    switch (request.schema.name) {
      case "GetEndpointsRequest":
        return new GetEndpointsResponse({ endpoints: [this.#endpoint] });
      case "CreateSessionRequest": {
        const token = newToken();
        this.#sessions.add(token.toString());
        return new CreateSessionResponse({
          sessionId: newToken(),
          authenticationToken: token,
          revisedSessionTimeout: sessionMs,
          serverEndpoints: [this.#endpoint],
        });
      }
      case "ActivateSessionRequest":
        return this.#sessions.has(authenticationToken.toString())
          ? new ActivateSessionResponse({})
          : undefined;
      case "CloseSessionRequest":
        return this.#sessions.delete(authenticationToken.toString())
          ? new CloseSessionResponse({})
          : undefined;
      default:
        return undefined;
    }
  }
}

function endpointOf(endpointUrl: string): EndpointDescription {
  return new EndpointDescription({
    endpointUrl,
    server: {
      applicationUri: "urn:kerb:recorded",
      applicationName: { text: "recorded" },
      applicationType: ApplicationType.Server,
      discoveryUrls: [endpointUrl],
    },
    securityMode: MessageSecurityMode.None,
    securityPolicyUri: SecurityPolicy.None,
    userIdentityTokens: [new UserTokenPolicy({ policyId: "anonymous", tokenType: UserTokenType.Anonymous })],
    transportProfileUri: transportProfile,
    securityLevel: 0,
  });
}

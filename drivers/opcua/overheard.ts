import type { WireEar } from "../../gateway/driver.ts";
import {
  type Message,
  messageBytes,
  type PublishResponse,
  ReadRequest,
  ReadResponse,
  RequestHeader,
  ResponseHeader,
} from "./library.ts";

/**
 * What is asked and answered inside a session, for who keeps it (`kerb record`): each as the message that OPC
 * 10000-6 has for it, in clear, with a header of its own. What makes channels and sessions is none of it:
 * certificates, nonces, logins, names of programs.
 */

type Request = Message & { requestHeader: RequestHeader };
type Response = Message & { responseHeader: ResponseHeader };

const kept =
  /^(?:Read|TranslateBrowsePathsToNodeIds|Call|CreateSubscription|CreateMonitoredItems|Publish|Republish)Request$/;
/** Of these the answers alone say something, and come when they like. */
const pushed = /^(?:Publish|Republish)Request$/;
/** NamespaceArray; its second is the server's own (OPC 10000-5, 6.3.1). */
const namespaces = "ns=0;i=2255";
const never = new Date(0);
const messageBytesMax = 16 * 1024 * 1024;

const ears = new Set<(place: string, request: Request, response: Response) => void>();

/** Called with every answer of a server. */
export function overheard(place: string, request: unknown, response: unknown): void {
  for (const ear of ears) ear(place, request as Request, response as Response);
}

/** Hears what is said to the server at a place ("192.168.1.9:4840"), until what it gives is called. */
export function overhear(wanted: string, ear: WireEar): () => void {
  let count = 0;
  const hear = (place: string, request: Request, response: Response): void => {
    const { name } = request.schema;
    if (place !== wanted || !kept.test(name)) return;
    const isPushed = pushed.test(name);
    if (isPushed && isEmpty(response)) return;
    try {
      const [asked, answered] = pairOf(request, response, ++count);
      if (!isPushed) ear.said("kerb", asked);
      ear.said("device", answered);
    } catch {
      // What the library has read and cannot write.
      ear.left("messages that cannot be written again");
    }
    const own = ownName(request, response);
    if (own !== undefined) ear.named(own);
  };
  ears.add(hear);
  return () => void ears.delete(hear);
}

/** A sign of life, or a request that is refused while it waits. */
function isEmpty(response: Response): boolean {
  if (!/^(?:Publish|Republish)Response$/.test(response.schema.name)) return true;
  const { notificationMessage } = response as unknown as PublishResponse;
  return (notificationMessage.notificationData?.length ?? 0) === 0;
}

function pairOf(request: Request, response: Response, requestHandle: number): [Buffer, Buffer] {
  const { serviceResult } = response.responseHeader;
  const requestHeader = new RequestHeader({ timestamp: never, requestHandle });
  const responseHeader = new ResponseHeader({ timestamp: never, requestHandle, serviceResult });
  return [withHeader(request, { requestHeader }), withHeader(response, { responseHeader })];
}

/** The message's bytes with another header than its own. */
function withHeader(message: Message, header: object): Buffer {
  const other = Object.create(Object.getPrototypeOf(message) as object) as Message;
  return messageBytes(Object.assign(other, message, header), messageBytesMax);
}

/** The URI of the server itself, which is often its host's name. */
function ownName(request: Message, response: Message): string | undefined {
  if (!(request instanceof ReadRequest) || !(response instanceof ReadResponse)) return undefined;
  const at = (request.nodesToRead ?? []).findIndex(({ nodeId }) => String(nodeId) === namespaces);
  const list: unknown = response.results?.[at]?.value?.value;
  const own: unknown = Array.isArray(list) ? list[1] : undefined;
  return typeof own === "string" && own !== "" ? own : undefined;
}

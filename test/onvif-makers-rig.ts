import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { driver } from "../drivers/onvif/index.ts";
import { settings, type Address } from "../drivers/onvif/settings.ts";
import { type Answer, type Connection, type RecordPhase, type Sink } from "../gateway/driver.ts";
import { cleanups, codeOf, patient, point } from "./onvif-rig.ts";

/**
 * Cameras that differ from our own pretend one, as makers do: each test writes what its camera answers, byte for
 * byte, after the published schemas. A server of its own, so that driver and simulator cannot err together.
 */

export type Reply =
  | string
  | Buffer
  | { status?: number; headers?: Record<string, string | string[]>; body?: string | Buffer };
export interface Asked {
  operation: string;
  xml: string;
  url: string;
  count: number;
  request: IncomingMessage;
}
type Script = Record<string, (asked: Asked) => Reply | Promise<Reply>>;

export const soap = (inner: string): string =>
  `<?xml version="1.0" encoding="utf-8"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body>${inner}</e:Body></e:Envelope>`;
export const fault = (subcode: string, reason = "no"): string =>
  soap(
    `<e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>${subcode}</e:Value></e:Subcode></e:Code><e:Reason><e:Text xml:lang="en">${reason}</e:Text></e:Reason></e:Fault>`,
  );
export const stamp = (timeMs: number): string => new Date(timeMs).toISOString();

function time(timeMs = Date.now()): string {
  const at = new Date(timeMs);
  return soap(
    `<GetSystemDateAndTimeResponse><SystemDateAndTime><UTCDateTime><Time><Hour>${at.getUTCHours()}</Hour><Minute>${at.getUTCMinutes()}</Minute><Second>${at.getUTCSeconds()}</Second></Time><Date><Year>${at.getUTCFullYear()}</Year><Month>${at.getUTCMonth() + 1}</Month><Day>${at.getUTCDate()}</Day></Date></UTCDateTime></SystemDateAndTime></GetSystemDateAndTimeResponse>`,
  );
}

export const services = (base: string, of: Record<string, string>): string =>
  soap(
    `<GetServicesResponse>${Object.entries(of)
      .map(
        ([name, path]) =>
          `<Service><Namespace>http://www.onvif.org/${name}/wsdl</Namespace><XAddr>${base}${path}</XAddr></Service>`,
      )
      .join("")}</GetServicesResponse>`,
  );

export const created = (where: string, lifetimeMs = 60_000): string =>
  soap(
    `<CreatePullPointSubscriptionResponse><SubscriptionReference><Address>${where}</Address></SubscriptionReference><CurrentTime>${stamp(Date.now())}</CurrentTime><TerminationTime>${stamp(Date.now() + lifetimeMs)}</TerminationTime></CreatePullPointSubscriptionResponse>`,
  );

interface Told {
  topic?: string;
  operation?: string;
  atMs?: number;
  items?: string;
}
export const plateTopic = "tns1:RuleEngine/Recognition/LicensePlate";
export const simple = (name: string, value: string): string =>
  `<SimpleItem Name="${name}" Value="${value}"/>`;
const message = ({ operation, atMs = Date.now(), items = "" }: Told): string =>
  `<Message UtcTime="${stamp(atMs)}"${operation === undefined ? "" : ` PropertyOperation="${operation}"`}><Source/><Data>${items}</Data></Message>`;
export const notification = (...told: Told[]): string =>
  `<NotificationMessage><Topic>${told[0]?.topic ?? plateTopic}</Topic><Message>${told.map(message).join("")}</Message></NotificationMessage>`;
export const pulled = (inner = "", nowMs = Date.now(), endsMs = nowMs + 60_000): string =>
  soap(
    `<PullMessagesResponse><CurrentTime>${stamp(nowMs)}</CurrentTime><TerminationTime>${stamp(endsMs)}</TerminationTime>${inner}</PullMessagesResponse>`,
  );
export const nothing = async (holdMs = 200): Promise<string> => {
  await new Promise((resolve) => setTimeout(resolve, holdMs));
  return pulled();
};

interface Camera {
  port: number;
  counts: Record<string, number>;
  requests: Asked[];
}

/** A camera that answers as the script says; what is not in it gets a page with status 404. */
export async function camera(script: (base: string) => Script, host = "127.0.0.1"): Promise<Camera> {
  const counts: Record<string, number> = {};
  const requests: Asked[] = [];
  const state: { script: Script } = { script: {} };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let xml = "";
    for await (const chunk of request) xml += String(chunk);
    const [, body = ""] = xml.split("<s:Body>");
    const operation = request.method === "GET" ? "GET" : (/^<(?:\w+:)?(\w+)/.exec(body)?.[1] ?? "");
    const count = (counts[operation] = (counts[operation] ?? 0) + 1);
    const asked = { operation, xml, url: request.url ?? "", count, request };
    requests.push(asked);
    const answer = await (state.script[operation]?.(asked) ?? { status: 404, body: "<html>404</html>" });
    const {
      status,
      headers = {},
      body: sent = "",
    } = typeof answer === "string" || Buffer.isBuffer(answer) ? { body: answer, status: undefined } : answer;
    const isFault = sent.includes("Fault>");
    response.writeHead(status ?? (isFault ? 500 : 200), {
      "Content-Type": "application/soap+xml",
      ...headers,
    });
    response.end(sent);
  };
  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  }).listen(0, host);
  await once(server, "listening");
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const where = server.address();
  const port = typeof where === "object" ? (where?.port ?? 0) : 0;
  const base = `http://127.0.0.1:${port}`;
  state.script = {
    GetSystemDateAndTime: () => time(),
    GetServices: () => services(base, { "ver10/device": "/d", "ver10/events": "/e", "ver10/media": "/m" }),
    CreatePullPointSubscription: () => created(`${base}/sub?Idx=1`),
    PullMessages: () => nothing(),
    Unsubscribe: () => soap("<UnsubscribeResponse/>"),
    GetVideoSources: () =>
      soap(
        '<GetVideoSourcesResponse><VideoSources token="V1"><Framerate>25</Framerate></VideoSources></GetVideoSourcesResponse>',
      ),
    ...script(base),
  };
  return { port, counts, requests };
}

/** The code that a subscription has ended with, or "on" after a while. */
export const stateOf = (done: Promise<unknown>, afterMs = 50): Promise<string> =>
  Promise.race([codeOf(done), new Promise<string>((resolve) => setTimeout(resolve, afterMs, "on"))]);

export async function connect({ port }: { port: number }, more: Record<string, unknown> = {}) {
  const parsed = settings.parse({ host: "127.0.0.1", port, timeout: "1s", pull: "1s", ...more });
  const connection = await driver.connect(parsed, { deviceId: "c", log: () => {} }, patient());
  cleanups.push(() => connection.close());
  return connection;
}

export const rate = { reading: "video", item: "framerate", type: "number" };
export const read = async (connection: Connection<Address>, ...given: object[]) =>
  (await connection.read(given.map(point), { signal: patient() })).answers;

interface Heard {
  answers: readonly (Answer | undefined)[];
  phase: RecordPhase | undefined;
  sourceTimeMs: number | undefined;
  instance: string | undefined;
}

export function listen(
  connection: Connection<Address>,
  topic = "RuleEngine/Recognition/LicensePlate",
  item = "Plate",
) {
  const told: Heard[] = [];
  const stop = new AbortController();
  const sink: Sink = {
    alive: () => {},
    readings: () => {},
    poll: () => {},
    record: (_index, answers, { phase, sourceTimeMs, instance } = {}) =>
      told.push({ answers, phase, sourceTimeMs, instance }),
  };
  const records = [{ ...point({ topic }), fields: [point({ item })] }];
  const done = connection.subscribe!({ points: [], records, sink, signal: stop.signal });
  done.catch(() => {});
  return { told, stop, done, values: () => told.map(({ answers }) => answers[0]) };
}

export const held = async (xml: string, endsMs: number): Promise<string> => {
  const [, seconds = "0"] = /<Timeout>PT([\d.]+)S</.exec(xml) ?? [];
  await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));
  return pulled("", Date.now(), endsMs);
};

export const onePull = (inner: () => string): Script => ({
  PullMessages: ({ count }) => (count === 1 ? pulled(inner()) : nothing()),
});

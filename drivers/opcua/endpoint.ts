import { DeviceError } from "../../gateway/driver.ts";
import { Channel, unprotected, type Protection } from "./channel.ts";
import {
  GetEndpointsRequest,
  MessageSecurityMode,
  SecurityPolicy,
  type EndpointDescription,
  type GetEndpointsResponse,
} from "./library.ts";
import { fingerprintOf, identityIn, pin, pinOf } from "./pki.ts";
import type { Settings } from "./settings.ts";
import { urlOf } from "./url.ts";

const modes = {
  none: MessageSecurityMode.None,
  sign: MessageSecurityMode.Sign,
  "sign-and-encrypt": MessageSecurityMode.SignAndEncrypt,
} as const;

/** Asks a server for its endpoints, on the channel that is given. */
export async function endpointsOf(
  channel: Channel,
  url: string,
  signal: AbortSignal,
): Promise<EndpointDescription[]> {
  const request = new GetEndpointsRequest({ endpointUrl: url, localeIds: [], profileUris: [] });
  const response = await channel.request<GetEndpointsResponse>(request, { signal });
  return response.endpoints ?? [];
}

/** An open channel of the wanted security, and what the server says of that endpoint. */
export interface OpenEndpoint {
  readonly channel: Channel;
  readonly endpoint: EndpointDescription;
  readonly protection: Protection;
}

/**
 * Opens the channel that the settings want: never a weaker one. The certificate must be pinned before a secret is
 * sent. Rejects with `DeviceError`, "denied" where the certificate is not the pinned one.
 */
export async function openEndpoint(
  settings: Settings,
  folder: string | undefined,
  signal: AbortSignal,
): Promise<OpenEndpoint> {
  const { url, place } = urlOf(settings);
  const { timeout: timeoutMs } = settings;
  // A server tells its endpoints without security (OPC 10000-4, 5.4.4); what it tells is checked below.
  const discovery = await Channel.open({ url, place, timeoutMs, protection: unprotected }, signal);
  let isKept = false;
  try {
    const endpoint = choose(await endpointsOf(discovery, url, signal), settings, place);
    const serverCertificate = endpoint.serverCertificate;
    if (settings.security === "none") {
      // Whose key a password is encrypted with is not left to whoever answers.
      const isFirst =
        settings.user !== undefined && (await checkPin(settings, place, serverCertificate, folder));
      if (isFirst && serverCertificate !== null)
        await pin(folder, place, fingerprintOf(firstCertificate(serverCertificate)));
      isKept = true;
      return { channel: discovery, endpoint, protection: unprotected };
    }
    const isNew = await checkPin(settings, place, serverCertificate, folder);
    const protection = {
      mode: modes[settings.security],
      policy: SecurityPolicy[settings.policy],
      serverCertificate,
      identity: await identityIn(folder),
    };
    const channel = await Channel.open({ url, place, timeoutMs, protection }, signal);
    // The open channel proves that the server has the key as well.
    if (isNew) await pin(folder, place, fingerprintOf(firstCertificate(serverCertificate)));
    return { channel, endpoint, protection };
  } finally {
    if (!isKept) {
      const goodbye = discovery.close();
      if (!signal.aborted) await goodbye;
    }
  }
}

function choose(
  endpoints: readonly EndpointDescription[],
  { security, policy }: Settings,
  place: string,
): EndpointDescription {
  const wantedPolicy = security === "none" ? SecurityPolicy.None : SecurityPolicy[policy];
  const found = endpoints.find(
    ({ securityMode, securityPolicyUri }) =>
      securityMode === modes[security] && securityPolicyUri === wantedPolicy,
  );
  if (found !== undefined) return found;
  const offered = endpoints.map(
    ({ securityMode, securityPolicyUri }) =>
      `${MessageSecurityMode[securityMode]} ${securityPolicyUri?.split("#").at(-1) ?? ""}`,
  );
  const wanted = security === "none" ? "none" : `${security} ${policy}`;
  throw new DeviceError(
    "denied",
    `${place}: the server does not offer ${wanted}, it offers: ${offered.join(", ") || "nothing"}`,
  );
}

/** True: it is to be pinned, because it is the first. */
async function checkPin(
  { pin: written, trust }: Settings,
  place: string,
  certificate: Buffer | null,
  folder: string | undefined,
): Promise<boolean> {
  if (certificate === null || certificate.length === 0)
    throw new DeviceError("denied", `${place}: the server shows no certificate`);
  const fingerprint = fingerprintOf(firstCertificate(certificate));
  const pinned = written ?? (trust === "first-use" ? await pinOf(folder, place) : undefined);
  if (pinned === fingerprint) return false;
  if (pinned === undefined && trust === "first-use") return true;
  throw new DeviceError(
    "denied",
    pinned === undefined
      ? `${place}: the server's certificate is not pinned; if its fingerprint is right, write "pin: ${fingerprint}"`
      : `${place}: the server shows another certificate than the pinned one; if it was renewed, write "pin: ${fingerprint}"`,
  );
}

/** The server's own certificate: what follows it in the chain are its issuers. */
export function firstCertificate(chain: Buffer): Buffer {
  const lengthBytes = (chain[1] ?? 0) & 0x7f;
  const isLong = ((chain[1] ?? 0) & 0x80) !== 0;
  if (!isLong || lengthBytes > 4 || chain.length < 2 + lengthBytes) return chain;
  return chain.subarray(0, 2 + lengthBytes + chain.readUIntBE(2, lengthBytes));
}

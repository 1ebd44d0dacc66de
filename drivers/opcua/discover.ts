import { X509Certificate } from "node:crypto";
import {
  DeviceError,
  type Discovery,
  type Found,
  type Identity,
  type Look,
  type WirePlace,
} from "../../gateway/driver.ts";
import { Channel, unprotected } from "./channel.ts";
import { endpointsOf, firstCertificate } from "./endpoint.ts";
import {
  ApplicationType,
  FindServersRequest,
  MessageSecurityMode,
  UserTokenType,
  type EndpointDescription,
  type FindServersResponse,
} from "./library.ts";
import { fingerprintOf } from "./pki.ts";
import type { Settings } from "./settings.ts";
import { urlOf } from "./url.ts";

/** More servers than that one machine has. */
const serversMax = 20;
const textLengthMax = 300;
const timeoutMs = 2500;
const policies = ["Aes256_Sha256_RsaPss", "Aes128_Sha256_RsaOaep", "Basic256Sha256"] as const;
const modes = [
  ["sign-and-encrypt", MessageSecurityMode.SignAndEncrypt],
  ["sign", MessageSecurityMode.Sign],
] as const;

type Where = Pick<Settings, "host" | "port" | "path"> & { host: string };

/**
 * The servers at one port, and those of the same host that a discovery server there tells of (OPC 10000-4, 5.5.2 and
 * 5.5.4), each with the best security that it offers. Nothing secret is sent.
 */
export const discovery: Discovery = { tcp: [4840], turn: 1, atPort };

async function* atPort({ host, port }: WirePlace, { signal, tell }: Look): AsyncGenerator<Found> {
  const first = { host, port, path: "" };
  tell(`${host}:${port}`);
  try {
    const { found, others } = await ask(first, true, signal);
    if (found !== undefined) yield found;
    for (const where of others.slice(0, serversMax)) {
      // A discovery server remembers those that are gone.
      const other = await ask(where, false, signal).catch(gone);
      if (other?.found !== undefined) yield other.found;
    }
  } catch (error) {
    gone(error);
  }
}

function gone(error: unknown): undefined {
  if (!(error instanceof DeviceError) || error.code === "aborted") throw error;
}

/** What one server says of itself, and of others on its machine where it is asked for them. */
async function ask(
  where: Where,
  forOthers: boolean,
  signal: AbortSignal,
): Promise<{ found: Found | undefined; others: Where[] }> {
  const { url, place } = urlOf(where as Settings);
  const options = { url, place, timeoutMs, protection: unprotected };
  const channel = await Channel.open(options, signal);
  try {
    const endpoints = await endpointsOf(channel, url, signal);
    const own = endpoints[0]?.server.applicationUri ?? "";
    const others = forOthers ? await othersAt(channel, url, { where, own }, signal) : [];
    if (endpoints.length === 0) return { found: undefined, others };
    const { host, port, path } = where;
    const identity = identityOf(endpoints);
    const found = {
      place: `${place}${path}`,
      at: { host, port, ...(path === "" ? {} : { path }) },
      settings: { ...best(endpoints), ...pinIn(identity) },
      identity,
      ...(takesAnybody(endpoints) ? {} : { needs: ["user", "password"] }),
    };
    return { found, others };
  } finally {
    await channel.close();
  }
}

/**
 * Other servers, at the ports and paths that they are said to have; the host stays the one that was asked, for a
 * server's idea of its name is its own, and nobody leads elsewhere from here.
 */
async function othersAt(
  channel: Channel,
  url: string,
  { where, own }: { where: Where; own: string },
  signal: AbortSignal,
): Promise<Where[]> {
  const request = new FindServersRequest({ endpointUrl: url, localeIds: [], serverUris: [] });
  const { servers } = await channel
    .request<FindServersResponse>(request, { signal })
    .catch((error: unknown) => {
      // It need not have this service.
      if (error instanceof DeviceError && ["rejected", "unsupported"].includes(error.code))
        return { servers: [] };
      throw error;
    });
  const found = new Map<string, Where>();
  for (const { applicationUri, applicationType, discoveryUrls } of servers ?? []) {
    if (applicationUri === own || applicationType === ApplicationType.Client) continue;
    for (const told of discoveryUrls ?? []) {
      const [, port = "4840", path = ""] = /^opc\.tcp:\/\/(?:\[[^\]]*\]|[^/:]*)(?::(\d+))?(\/.*)?$/.exec(
        told ?? "",
      ) ?? ["", ""];
      if (port === "" || Number(port) > 65_535 || Number(port) === 0) continue;
      const plain = path === "/" ? "" : path;
      found.set(`${port}${plain}`, { ...where, port: Number(port), path: plain });
      // One way to it is enough.
      break;
    }
  }
  found.delete(String(where.port));
  return [...found.values()];
}

/** Whoever adds the device trusts the certificate that was shown. */
const pinIn = ({ more }: Identity) =>
  more?.["certificate"] === undefined ? {} : { pin: more["certificate"] };

const takesAnybody = (endpoints: readonly EndpointDescription[]): boolean =>
  endpoints.some(({ userIdentityTokens }) =>
    (userIdentityTokens ?? []).some(({ tokenType }) => tokenType === UserTokenType.Anonymous),
  );

/** The best that server and driver both can; without any, that of the driver, so that nothing weak is suggested. */
function best(endpoints: readonly EndpointDescription[]): Partial<Pick<Settings, "security" | "policy">> {
  for (const [security, mode] of modes) {
    for (const policy of policies) {
      const isOffered = endpoints.some(
        ({ securityMode, securityPolicyUri }) =>
          securityMode === mode && policyOf(securityPolicyUri) === policy,
      );
      if (isOffered) return { security, policy };
    }
  }
  return {};
}

function identityOf(endpoints: readonly EndpointDescription[]): Identity {
  const [first] = endpoints;
  const more: Record<string, string> = {};
  const say = (name: string, text: string | null | undefined): void => {
    if (text !== null && text !== undefined && text !== "") more[name] = text.slice(0, textLengthMax);
  };
  const { applicationName, applicationUri, productUri, applicationType } = first?.server ?? {};
  say("ApplicationUri", applicationUri);
  say("ProductUri", productUri);
  say("ApplicationType", applicationType === undefined ? "" : ApplicationType[applicationType]);
  say("endpoints", shownEndpoints(endpoints));
  const logins = endpoints.flatMap(({ userIdentityTokens }) => userIdentityTokens ?? []);
  say("logins", unique(logins.map(({ tokenType }) => UserTokenType[tokenType])));
  const chains = endpoints.flatMap(({ serverCertificate }) => serverCertificate ?? []);
  const certificates = chains.filter(({ length }) => length > 0).map((chain) => firstCertificate(chain));
  say("certificate", unique(certificates.map((one) => fingerprintOf(one))));
  const [certificate] = certificates;
  if (certificate !== undefined) {
    try {
      const { subject, validTo } = new X509Certificate(certificate);
      say("certificateSubject", subject.replaceAll(/\s*\n\s*/g, ", "));
      say("certificateUntil", new Date(validTo).toISOString());
    } catch {
      say("certificateSubject", "not readable");
    }
  }
  const model = applicationName?.text?.trim().slice(0, textLengthMax) ?? "";
  return { ...(model === "" ? {} : { model }), more };
}

/** "SignAndEncrypt Basic256Sha256, None": how it may be spoken to, each way once. */
function shownEndpoints(endpoints: readonly EndpointDescription[]): string {
  return unique(
    endpoints.map(({ securityMode, securityPolicyUri }) => {
      const mode = MessageSecurityMode[securityMode] ?? "?";
      const policy = policyOf(securityPolicyUri);
      return mode === policy ? mode : `${mode} ${policy}`;
    }),
  );
}

function policyOf(uri: string | null): string {
  return uri?.split("#").at(-1) ?? "";
}

function unique(texts: readonly string[]): string {
  return [...new Set(texts)].join(", ");
}

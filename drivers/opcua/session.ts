import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { DeviceError } from "../../gateway/driver.ts";
import { aborted, type Channel, type Protection } from "./channel.ts";
import { firstCertificate, type OpenEndpoint } from "./endpoint.ts";
import {
  ActivateSessionRequest,
  AnonymousIdentityToken,
  ApplicationType,
  CloseSessionRequest,
  computeSignatureAsync,
  CreateSessionRequest,
  crypto_utils,
  getCryptoFactory,
  MessageSecurityMode,
  SecurityPolicy,
  UserNameIdentityToken,
  UserTokenType,
  verifySignature,
  X509IdentityToken,
  type ActivateSessionResponse,
  type CreateSessionResponse,
  type EndpointDescription,
  type SignatureData,
} from "./library.ts";
import type { Settings } from "./settings.ts";

/** A session as the server knows it; it outlives the channel on which it was made (OPC 10000-4, 5.6.2). */
export interface Session {
  readonly token: CreateSessionResponse["authenticationToken"];
  readonly endpoint: EndpointDescription;
  /** The server's last nonce: what the next proof signs. */
  nonce: Buffer;
  readonly timeoutMs: number;
}

interface Proof {
  userIdentityToken: AnonymousIdentityToken | UserNameIdentityToken | X509IdentityToken;
  userTokenSignature?: SignatureData;
}

const closeMs = 300;

/**
 * Makes a session and activates it. Rejects with `DeviceError`; a session that cannot be activated is closed. Given
 * up, it rejects at once, and `goodbye` gets what is still to be said to the server.
 */
export async function openSession(
  { channel, endpoint, protection }: OpenEndpoint,
  settings: Settings,
  name: string,
  signal: AbortSignal,
  goodbye: (said: Promise<unknown>) => void = () => {},
): Promise<Session> {
  if (signal.aborted) throw aborted(channel.place);
  const { identity } = protection;
  const nonce = randomBytes(32);
  const request = new CreateSessionRequest({
    clientDescription: {
      applicationName: { text: "kerb" },
      applicationType: ApplicationType.Client,
      applicationUri: identity?.applicationUri ?? "urn:kerb",
      productUri: "urn:kerb",
    },
    endpointUrl: endpoint.endpointUrl,
    sessionName: name,
    clientNonce: nonce,
    // A subscription shall ask often enough to keep it.
    requestedSessionTimeout: Math.max(settings.session, 3 * settings.keepAlive),
    maxResponseMessageSize: 0,
    ...(identity === undefined ? {} : { clientCertificate: identity.getCertificate() }),
  });
  // Not given up with the signal: a session that is made too late must be closed.
  const creating = channel.request<CreateSessionResponse>(request);
  const response = await orAborted(creating, channel.place, signal).catch((error: unknown) => {
    const late = creating.then(({ authenticationToken: token }) => closeSession(channel, { token }));
    goodbye(late.catch(() => {}));
    throw error;
  });
  const session: Session = {
    token: response.authenticationToken,
    endpoint,
    nonce: response.serverNonce ?? Buffer.alloc(0),
    timeoutMs: response.revisedSessionTimeout,
  };
  try {
    checkServer(channel.place, protection, response, nonce);
    checkEndpoint(channel.place, endpoint, response);
    await activate(channel, session, settings, protection, signal);
  } catch (error) {
    const said = closeSession(channel, session);
    if (signal.aborted) goodbye(said);
    else await said;
    throw error;
  }
  return session;
}

function orAborted<Result>(work: Promise<Result>, place: string, signal: AbortSignal): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(aborted(place));
  signal.addEventListener("abort", onAbort);
  return Promise.race([work, promise]).finally(() => signal.removeEventListener("abort", onAbort));
}

function tokens(list: EndpointDescription["userIdentityTokens"]): string {
  const shown = (list ?? []).map((one) =>
    JSON.stringify([one.policyId, one.tokenType, one.securityPolicyUri ?? ""]),
  );
  return shown.toSorted().join();
}

/** What was told without security is told once more under the signature (OPC 10000-4, 5.6.2). */
function checkEndpoint(
  place: string,
  { securityMode, securityPolicyUri, userIdentityTokens }: EndpointDescription,
  { serverEndpoints }: CreateSessionResponse,
): void {
  const isSame = (other: EndpointDescription): boolean =>
    other.securityMode === securityMode &&
    other.securityPolicyUri === securityPolicyUri &&
    tokens(other.userIdentityTokens) === tokens(userIdentityTokens);
  // Some servers leave the list out.
  if (serverEndpoints === null || serverEndpoints.length === 0 || serverEndpoints.some(isSame)) return;
  throw new DeviceError("denied", `${place}: the server's endpoint is not the one that it told before`);
}

/** Whoever holds the pinned certificate's key has signed our nonce. */
function checkServer(
  place: string,
  { policy, serverCertificate, identity }: Protection,
  { serverCertificate: shown, serverSignature }: CreateSessionResponse,
  nonce: Buffer,
): void {
  if (policy === SecurityPolicy.None || serverCertificate === undefined || identity === undefined) return;
  const own = firstCertificate(serverCertificate);
  const isSame = shown !== null && firstCertificate(shown).equals(own);
  if (isSame && verifySignature(identity.getCertificate(), nonce, serverSignature, own, policy)) return;
  throw new DeviceError("denied", `${place}: the server's signature does not fit its certificate`);
}

/** Activates a session on this channel, which may be another one than it was made on. */
export async function activate(
  channel: Channel,
  session: Session,
  settings: Settings,
  { policy, mode, serverCertificate, identity }: Protection,
  signal: AbortSignal,
): Promise<void> {
  const key = identity?.getPrivateKey() ?? null;
  const clientSignature =
    policy === SecurityPolicy.None
      ? undefined
      : await computeSignatureAsync(serverCertificate ?? null, session.nonce, key, policy);
  const proof = await proofOf(channel.place, session, settings, { policy, mode });
  const request = new ActivateSessionRequest({
    ...(clientSignature === undefined ? {} : { clientSignature }),
    localeIds: ["en"],
    ...proof,
  });
  request.requestHeader.authenticationToken = session.token;
  const response = await channel.request<ActivateSessionResponse>(request, { signal });
  session.nonce = response.serverNonce ?? Buffer.alloc(0);
}

async function proofOf(
  place: string,
  { endpoint, nonce }: Session,
  settings: Settings,
  { policy, mode }: Pick<Protection, "policy" | "mode">,
): Promise<Proof> {
  const { user, password = "", certificate, key } = settings;
  const type =
    user !== undefined
      ? UserTokenType.UserName
      : certificate !== undefined
        ? UserTokenType.Certificate
        : UserTokenType.Anonymous;
  const offered = (endpoint.userIdentityTokens ?? []).filter(({ tokenType }) => tokenType === type);
  const policyOf = (uri: string | null): SecurityPolicy =>
    uri === null || uri === "" ? policy : (uri as SecurityPolicy);
  // A secret goes out protected, where the server offers several ways.
  const chosen =
    offered.find(({ securityPolicyUri }) => canProtect(policyOf(securityPolicyUri))) ?? offered[0];
  if (chosen === undefined) {
    const ways = endpoint.userIdentityTokens?.map(({ tokenType }) => UserTokenType[tokenType]) ?? [];
    throw new DeviceError(
      "denied",
      `${place}: the server takes no ${UserTokenType[type]} login, it takes: ${ways.join(", ") || "none"}`,
    );
  }
  const { policyId } = chosen;
  const tokenPolicy = policyOf(chosen.securityPolicyUri);
  if (type === UserTokenType.Anonymous)
    return { userIdentityToken: new AnonymousIdentityToken({ policyId }) };
  const server =
    endpoint.serverCertificate === null ? undefined : firstCertificate(endpoint.serverCertificate);
  try {
    if (type === UserTokenType.Certificate) {
      const der = new X509Certificate(certificate ?? "").raw;
      const pem = createPrivateKey(key ?? "").export({ type: "pkcs8", format: "pem" });
      const own = crypto_utils.coercePEMorDerToPrivateKey(pem.toString());
      if (!canProtect(tokenPolicy)) throw new Error(`the server wants it signed with ${tokenPolicy}`);
      const userTokenSignature = await computeSignatureAsync(server ?? null, nonce, own, tokenPolicy);
      const userIdentityToken = new X509IdentityToken({ policyId, certificateData: der });
      return { userIdentityToken, ...(userTokenSignature === undefined ? {} : { userTokenSignature }) };
    }
  } catch (error) {
    const { message } = error as Error;
    throw new DeviceError("denied", `${place}: the user's certificate or key cannot be used: ${message}`, {
      cause: error,
    });
  }
  const secret = Buffer.from(password, "utf8");
  const factory = canProtect(tokenPolicy) ? getCryptoFactory(tokenPolicy) : null;
  if (factory === null || server === undefined || server.length === 0) {
    if (mode === MessageSecurityMode.SignAndEncrypt) return passwordToken(policyId, user, secret, null);
    throw new DeviceError(
      "denied",
      `${place}: the server wants the password in clear; use security "sign-and-encrypt"`,
    );
  }
  const length = Buffer.alloc(4);
  length.writeUInt32LE(secret.length + nonce.length);
  const sealed = factory.asymmetricEncrypt(
    Buffer.concat([length, secret, nonce]),
    new X509Certificate(server).publicKey,
  );
  return passwordToken(policyId, user, sealed, factory.asymmetricEncryptionAlgorithm);
}

/** The policies of the settings: what is weaker protects no secret either. */
const policies: Record<Settings["policy"], SecurityPolicy> = {
  Basic256Sha256: SecurityPolicy.Basic256Sha256,
  Aes128_Sha256_RsaOaep: SecurityPolicy.Aes128_Sha256_RsaOaep,
  Aes256_Sha256_RsaPss: SecurityPolicy.Aes256_Sha256_RsaPss,
};

function canProtect(policy: SecurityPolicy): boolean {
  return Object.values(policies).includes(policy) && getCryptoFactory(policy) !== null;
}

function passwordToken(
  policyId: string | null,
  userName: string | undefined,
  password: Buffer,
  encryptionAlgorithm: string | null,
): Proof {
  return {
    userIdentityToken: new UserNameIdentityToken({
      policyId,
      userName: userName ?? null,
      password,
      encryptionAlgorithm,
    }),
  };
}

/** Tells the server that the session is over; true when it has said so within 0.3 s. */
export async function closeSession(channel: Channel, session: Pick<Session, "token">): Promise<boolean> {
  const request = new CloseSessionRequest({ deleteSubscriptions: true });
  request.requestHeader.authenticationToken = session.token;
  return channel.request(request, { timeoutMs: closeMs }).then(
    () => true,
    () => false,
  );
}

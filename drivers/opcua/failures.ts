import { DeviceError, socketErrorCode, type DeviceErrorCode } from "../../gateway/driver.ts";

/** Service results (OPC 10000-4, 7.38) that say more than "no". */
const statusCodes: [RegExp, DeviceErrorCode][] = [
  [
    /^Bad(Certificate|UserAccess|IdentityToken|SecurityChecks|SecurityPolicy|SecurityMode|NonceInvalid)/,
    "denied",
  ],
  [/^Bad(ApplicationSignature|UserSignature|ApplicationUri|NoValidCertificates)/, "denied"],
  [/^Bad(TooManySessions|TcpServerTooBusy|ServerTooBusy|ResourceUnavailable|TcpNotEnoughResources)/, "busy"],
  [
    /^Bad(SessionIdInvalid|SessionClosed|SessionNotActivated|SecureChannel(Closed|IdInvalid|TokenUnknown))/,
    "hung-up",
  ],
  [/^Bad(Shutdown|ServerHalted|ConnectionClosed|TcpSecureChannelUnknown)/, "hung-up"],
  [/^Bad(Timeout|RequestTimeout|NoCommunication)$/, "silent"],
  [/^Bad(TcpMessage(Type|TooLarge)|TcpInternalError|DecodingError|UnknownResponse)/, "garbage"],
  [/^Bad(ServiceUnsupported|NotSupported|NotImplemented)/, "unsupported"],
];

/** The kerb code of a service result by its symbolic name. */
export function codeOfStatus(name: string): DeviceErrorCode {
  return statusCodes.find(([pattern]) => pattern.test(name))?.[1] ?? "rejected";
}

/** Service results that say why a write or a call was not done (OPC 10000-4, 5.10.4, 5.11.2 and 7.38). */
const notDone =
  /^Bad(NotWritable|WriteNotSupported|TypeMismatch|OutOfRange|NodeId(Invalid|Unknown)|AttributeIdInvalid|IndexRange(Invalid|NoData|DataMismatch)|DataEncoding(Invalid|Unsupported)|InvalidArgument|ArgumentsMissing|TooManyArguments|MethodInvalid|NotExecutable|InvalidState|Locked|NothingToDo|TooManyOperations)$/;

/** The kerb code of a result of a write or a call; whoever does not say that it was not done may have done it. */
export function codeOfWrite(name: string): DeviceErrorCode {
  const code = codeOfStatus(name);
  if (code === "rejected" || code === "busy") return notDone.test(name) ? "rejected" : "garbage";
  return code;
}

/** A refused service as a write or a call has to take it. */
export function writeError(error: unknown): unknown {
  const status = error instanceof DeviceError ? statusIn(error) : undefined;
  if (!(error instanceof DeviceError) || status === undefined) return error;
  return new DeviceError(codeOfWrite(status), error.message, { cause: error });
}

/** Symbolic name without what is attached to it: "Good#Overflow" is "Good". */
export function statusName(status: { name: string }): string {
  return /^\w+/.exec(status.name)?.[0] ?? "Bad";
}

/** What the library's error means; `during` says what was being done. */
export function deviceError(error: unknown, place: string, during: string): DeviceError {
  if (error instanceof DeviceError) return error;
  const { message, code, response } = error as Error & {
    code?: string;
    response?: { responseHeader?: { serviceResult?: { name: string } } };
  };
  const result = response?.responseHeader?.serviceResult;
  const status = result === undefined ? /\bBad[A-Z]\w+/.exec(message)?.[0] : statusName(result);
  const wrap = (kind: DeviceErrorCode, why: string): DeviceError =>
    new DeviceError(kind, `${place}: ${during}: ${why}`, { cause: error });
  const known = socketErrorCode(error as Error);
  if (known !== undefined) return wrap(known, code ?? oneLine(message));
  if (status !== undefined) return wrap(codeOfStatus(status), status);
  if (/Packet Assembler|ACK|invalid|decode|Invalid|Internal Error/i.test(message))
    return wrap("garbage", oneLine(message));
  return wrap("hung-up", "the server closed the connection");
}

/** The service result that a refused request's error names. */
export function statusIn({ message }: DeviceError): string | undefined {
  return /: (Bad[A-Z]\w+)$/.exec(message)?.[1];
}

/** As it fits into a message. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim().slice(0, 200);
}

import type { TwinMistake, Version } from "./document.ts";

/** What a gateway reports of its twin: on `{city}/twin/v1/{gw}/have`, and as an event. */

export const twinStates = ["staged", "applied", "rejected", "rolledback"] as const;
export type TwinState = (typeof twinStates)[number];

export interface HaveError extends Pick<TwinMistake, "path" | "text"> {
  code: string;
}

/** The newest document that came, what has become of it, and what runs. Nothing of what a document says is in it. */
export interface Have extends Version {
  v: 1;
  gw: string;
  /** 0 where none ever came, or where it did not say. */
  ver: number;
  state: TwinState;
  errors: HaveError[];
  /** ms since 1970 UTC by the gateway's clock. */
  at: number;
  /** `ver` 0: the files alone. */
  running: Version;
}

const errorsMax = 20;
const textMax = 400;
const bytesMax = 65_536;

/** Errors as they are told: few, and short. */
export function told(mistakes: readonly HaveError[]): HaveError[] {
  return mistakes
    .slice(0, errorsMax)
    .map(({ code, path, text }) => ({ code, path: path.slice(0, 120), text: text.slice(0, textMax) }));
}

/** Nothing follows it. */
export function isSettled({ state }: Pick<Have, "state">): boolean {
  return state !== "staged";
}

function versionOf(given: unknown): Version | undefined {
  const { ver, hash } = (given ?? {}) as Partial<Version>;
  const isSound =
    Number.isSafeInteger(ver) &&
    (ver as number) >= 0 &&
    typeof hash === "string" &&
    /^[0-9a-f]{0,64}$/.test(hash);
  return isSound ? { ver: ver as number, hash } : undefined;
}

const isText = (value: unknown): value is string => typeof value === "string";

function errorsOf(given: unknown): HaveError[] {
  if (!Array.isArray(given)) return [];
  const sound = (given as Partial<HaveError>[]).filter(
    (one) => typeof one === "object" && one !== null && [one.code, one.path, one.text].every(isText),
  );
  return told(sound as HaveError[]).map((one) => ({ ...one, code: one.code.slice(0, 60) }));
}

/** Checks what came as the report of this gateway, which may be anything, and keeps what is known of it. */
export function parseHave(gateway: string, payload: Uint8Array): Have | undefined {
  if (payload.length > bytesMax) return undefined;
  let given: Partial<Record<keyof Have, unknown>> | null;
  try {
    given = JSON.parse(Buffer.from(payload).toString("utf8")) as typeof given;
  } catch {
    return undefined;
  }
  if (typeof given !== "object" || given === null) return undefined;
  const { v, gw, state, at } = given;
  const [version, running] = [versionOf(given), versionOf(given.running)];
  const isSound =
    v === 1 &&
    gw === gateway &&
    twinStates.includes(state as TwinState) &&
    Number.isSafeInteger(at) &&
    (at as number) >= 0;
  if (!isSound || version === undefined || running === undefined) return undefined;
  const errors = errorsOf(given.errors);
  return { v: 1, gw: gateway, ...version, state: state as TwinState, errors, at: at as number, running };
}

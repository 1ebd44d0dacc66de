import type { Socket } from "node:net";
import type { Site, UplinkConfig } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import { describeError, type ErrorCode, printable } from "../../errors.ts";
import { uplinkCause } from "../../health/causes.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import {
  type Certificates,
  type LoggedIn,
  probeLogin,
  probeName,
  probePort,
  probeTls,
} from "../../uplink/upstream-probe.ts";
import { endpointOf } from "../../mqtt/endpoint.ts";
import type { TestStep } from "../../uplink/upstream-test.ts";
import { dictionary } from "../language.ts";
import { displayWidth, marks, pad, paint, span, took } from "../../text.ts";
import { type StepName, upstreamWords } from "./upstream-words.ts";

/** The way to the IOC, step by step, for `kerb upstream test` and `kerb doctor`. */

/** One step of the way to the IOC. */
export interface UpstreamStep {
  step: StepName;
  state: "ok" | "warn" | "bad" | "skipped";
  text: string;
  ms?: number;
  code?: ErrorCode;
  seen?: string;
}

/** What `kerb upstream test --json` gives, for each uplink. */
export interface UpstreamLadder {
  uplink: string;
  url: string;
  ok: boolean;
  steps: UpstreamStep[];
}

const dayMs = 86_400_000;
const daysShort = 30;
const order: readonly StepName[] = ["name", "port", "tls", "login", "receiver", "event"];

export interface Around {
  site: Site;
  language: Language;
  /** undefined: no gateway runs, or it is not asked. */
  status?: GatewayStatus | undefined;
  /** The test event over each uplink. */
  test?: Promise<Map<string, TestStep>> | undefined;
  waitMs?: number;
}

const days = (untilMs: number) => Math.floor((untilMs - Date.now()) / dayMs);

type Link = GatewayStatus["uplinks"][number];

class Ladder {
  readonly steps: UpstreamStep[] = [];
  readonly #config: UplinkConfig;
  readonly #around: Around;

  constructor(config: UplinkConfig, around: Around) {
    this.#config = config;
    this.#around = around;
  }

  get #words() {
    return upstreamWords[this.#around.language];
  }

  /** What the running gateway says of this uplink. */
  get #link(): Link | undefined {
    return this.#around.status?.uplinks.find(({ id }) => id === this.#config.id);
  }

  get hasFailed(): boolean {
    return this.steps.some(({ state }) => state === "bad");
  }

  add(step: StepName, state: UpstreamStep["state"], text: string, more: Partial<UpstreamStep> = {}): void {
    this.steps.push({ step, state, text, ...more });
  }

  fail(step: StepName, error: unknown, code?: ErrorCode): void {
    const seen = error instanceof Error ? error.message : String(error);
    const cause = code ?? uplinkCause(seen);
    this.add(step, "bad", describeError(cause, this.#around.language).title, { code: cause, seen });
  }

  /** Runs a step; undefined when it has failed, which ends the ladder. */
  async #try<Result>(
    step: StepName,
    work: () => Promise<Result>,
  ): Promise<{ found: Result; ms: number } | undefined> {
    const startedMs = performance.now();
    try {
      return { found: await work(), ms: Math.round(performance.now() - startedMs) };
    } catch (error) {
      this.fail(step, error);
      return undefined;
    }
  }

  async climb(): Promise<UpstreamLadder> {
    await this.#network();
    const link = this.#link;
    if (!this.hasFailed && link?.state === "connected") await this.#throughGateway(link);
    for (const step of order.slice(this.steps.length)) {
      const isEvent = step === "event" && !this.hasFailed;
      this.add(step, "skipped", isEvent ? this.#words.noGateway : this.#words.notTried);
    }
    const { id, url } = this.#config;
    return { uplink: id, url, ok: !this.hasFailed, steps: this.steps };
  }

  async #network(): Promise<void> {
    const words = this.#words;
    const endpoint = endpointOf(this.#config);
    const name = await this.#try("name", () => probeName(endpoint));
    if (name === undefined) return;
    const isAddress = name.found.length === 1 && name.found[0] === endpoint.host;
    this.add("name", "ok", isAddress ? words.address : `${endpoint.host} → ${name.found.join(", ")}`, {
      ms: name.ms,
    });
    const port = await this.#try("port", () => probePort(endpoint));
    if (port === undefined) return;
    this.add("port", "ok", words.open(endpoint.port), { ms: port.ms });
    let stream: Socket = port.found;
    try {
      if (endpoint.isSecure) {
        const tls = await this.#try("tls", () => probeTls(port.found, endpoint, this.#config.tls));
        if (tls === undefined) return;
        stream = tls.found.secure;
        this.#certificates(tls.found.certificates, tls.ms);
      } else this.add("tls", "warn", words.plain);
      if (this.#link?.state !== "connected") await this.#ownLogin(stream);
    } finally {
      stream.destroy();
      port.found.destroy();
    }
  }

  #certificates({ protocol, brokerUntilMs, ownUntilMs }: Certificates, ms: number): void {
    const words = this.#words;
    const own = ownUntilMs === undefined ? "" : words.ownCertificate(days(ownUntilMs));
    const isShort = Math.min(days(brokerUntilMs), days(ownUntilMs ?? Infinity)) < daysShort;
    this.add("tls", isShort ? "warn" : "ok", words.tls(protocol, days(brokerUntilMs)) + own, { ms });
  }

  /** No session of a gateway: under an id of the test's own, which takes none away. */
  async #ownLogin(stream: Socket): Promise<void> {
    const login = await this.#try("login", () =>
      probeLogin(stream, this.#config, {
        city: this.#around.site.gateway.city,
        gateway: this.#around.site.gateway.id,
      }),
    );
    if (login === undefined) return this.#loginFailed();
    const { status } = this.#around;
    if (status !== undefined) {
      const why =
        this.#link === undefined ? this.#words.unknownUplink : (this.#link.reason ?? this.#link.state);
      this.fail("login", this.#words.onlyGateway(why), uplinkCause(why));
      return;
    }
    this.add("login", "ok", this.#words.loggedIn, { ms: login.ms });
    this.#receiver(login.found.receiver, "");
  }

  #loginFailed(): void {
    const login = this.steps.pop();
    if (login === undefined) return;
    // A broker may look at our certificate only when the handshake is over.
    if (login.code?.includes("-TLS-") === true) {
      this.steps.pop();
      this.steps.push({ ...login, step: "tls" });
      return;
    }
    const isRight = /CREDENTIALS|AUTHORISED|CLIENT-ID/.test(login.code ?? "");
    this.steps.push(isRight ? { ...login, seen: `${login.seen} (${this.#words.subscribeHint})` } : login);
  }

  #receiver(receiver: LoggedIn["receiver"], more: string): void {
    const state = receiver === "online" ? "ok" : "warn";
    this.add("receiver", state, this.#words.receiver[receiver] + more);
  }

  async #throughGateway(link: Link): Promise<void> {
    const words = this.#words;
    const nowMs = Date.now();
    // What was tried above is what the file says; what runs may be an earlier generation.
    const isOther = link.url !== this.#config.url;
    const other = isOther ? words.otherUrl(link.url) : "";
    this.add(
      "login",
      isOther ? "warn" : "ok",
      words.connected(span(nowMs - link.sinceMs), link.session) + other,
    );
    const { lastAcknowledgementMs: lastMs } = link;
    this.#receiver(link.receiver, lastMs === undefined ? "" : words.confirmedAgo(span(nowMs - lastMs)));
    const steps = await this.#around.test;
    const stored = steps?.get("");
    const confirmed = steps?.get(this.#config.id);
    if (stored === undefined) this.fail("event", "the gateway did not store it", "KERB-OUT-FAILED");
    else if (confirmed === undefined)
      this.fail("event", words.unconfirmed(span(this.#around.waitMs ?? 0)), "KERB-UP-NO-CUSTODY");
    else this.add("event", "ok", words.confirmed(stored.ms, took(confirmed.ms)), { ms: confirmed.ms });
  }
}

/** Climbs the way to one IOC; ends at the first step that fails. */
export function climbUpstream(config: UplinkConfig, around: Around): Promise<UpstreamLadder> {
  return new Ladder(config, around).climb();
}

/** The ladder as lines for people; a failure with its code, what was seen, and what to do. */
export function ladderLines({ uplink, url, steps }: UpstreamLadder, language: Language): string[] {
  const words = upstreamWords[language];
  const common = dictionary[language];
  const width = Math.max(...Object.values(words.steps).map(displayWidth));
  const labels = Math.max(...[common.seen, common.likely, common.remedy].map(displayWidth));
  const lines = steps.flatMap(({ step, state, text, ms, code, seen }, i) => {
    const [mark, colour] = marks[state];
    const time = ms === undefined || step === "event" ? "" : `   ${ms} ms`;
    const shown = code === undefined ? text : `${code}  ${text}`;
    const head = ` ${i + 1} ${pad(words.steps[step], width)}  ${paint(colour, mark)} ${printable(shown)}${time}`;
    if (code === undefined) return [head];
    const { likely, do: remedy } = describeError(code, language);
    const details = [
      [common.seen, printable(seen ?? "")],
      [common.likely, likely],
      [common.remedy, remedy],
    ] as const;
    return [head, ...details.map(([label, one]) => `   ${pad(label, labels)}  ${one}`)];
  });
  return [`${paint("bold", printable(uplink))}   ${printable(url)}`, ...lines];
}

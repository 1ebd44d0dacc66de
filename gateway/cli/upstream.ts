import type { Socket } from "node:net";
import { loadSite, type Site, type UplinkConfig } from "../config.ts";
import type { Language } from "../config/error-texts.ts";
import { ask } from "../control.ts";
import { describeError, type ErrorCode, exitCodes, printable } from "../errors.ts";
import { uplinkCause } from "../health/causes.ts";
import type { GatewayStatus } from "../supervisor.ts";
import {
  type Certificates,
  endpointOf,
  type LoggedIn,
  probeLogin,
  probeName,
  probePort,
  probeTls,
} from "../upstream-probe.ts";
import type { TestStep } from "../upstream-test.ts";
import { type Box, findBox, isRunning } from "./box.ts";
import { meantBy } from "./complaint-words.ts";
import { notFoundError } from "./errors.ts";
import { dictionary } from "./language.ts";
import { hint, printData, printLines } from "./output.ts";
import { askOnce, findSite } from "./site.ts";
import { displayWidth, pad, paint, span } from "./text.ts";
import { type StepName, upstreamWords } from "./upstream-words.ts";

export interface UpstreamOptions {
  site?: string;
  uplink?: string;
  /** How long the IOC may take to confirm the test event. */
  waitMs?: number;
  json?: boolean;
  lang?: Language;
}

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

const waitDefaultMs = 90_000;
const dayMs = 86_400_000;
const daysShort = 30;
const order: readonly StepName[] = ["name", "port", "tls", "login", "receiver", "event"];

interface Around {
  site: Site;
  language: Language;
  /** undefined: no gateway runs. */
  status: GatewayStatus | undefined;
  /** The test event over each uplink. */
  test: Promise<Map<string, TestStep>> | undefined;
  waitMs: number;
}

const days = (untilMs: number) => Math.floor((untilMs - Date.now()) / dayMs);

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
    if (!this.hasFailed && this.#around.status !== undefined) await this.#throughGateway(this.#around.status);
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
      if (this.#around.status === undefined) await this.#ownLogin(stream);
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

  /** No gateway runs: under an id of the test's own, which takes no session away. */
  async #ownLogin(stream: Socket): Promise<void> {
    const login = await this.#try("login", () =>
      probeLogin(stream, this.#config, {
        city: this.#around.site.gateway.city,
        gateway: this.#around.site.gateway.id,
      }),
    );
    const failed = this.steps.at(-1);
    if (login === undefined && /CREDENTIALS|AUTHORISED/.test(failed?.code ?? ""))
      Object.assign(failed ?? {}, { seen: `${failed?.seen} (${this.#words.subscribeHint})` });
    if (login === undefined) return;
    this.add("login", "ok", this.#words.loggedIn, { ms: login.ms });
    this.#receiver(login.found.receiver, "");
  }

  #receiver(receiver: LoggedIn["receiver"], more: string): void {
    const state = receiver === "online" ? "ok" : "warn";
    this.add("receiver", state, this.#words.receiver[receiver] + more);
  }

  async #throughGateway({ uplinks }: GatewayStatus): Promise<void> {
    const words = this.#words;
    const link = uplinks.find(({ id }) => id === this.#config.id);
    const nowMs = Date.now();
    if (link?.state !== "connected") {
      this.fail("login", link?.reason ?? "the gateway does not know this uplink: the site file was changed");
      return;
    }
    // What was tried above is what the file says; what runs may be an earlier generation.
    const isOther = link.url !== this.#config.url;
    this.add(
      "login",
      isOther ? "warn" : "ok",
      words.connected(span(nowMs - link.sinceMs), link.session) + (isOther ? words.otherUrl(link.url) : ""),
    );
    const { lastAcknowledgementMs: lastMs } = link;
    this.#receiver(link.receiver, lastMs === undefined ? "" : words.confirmedAgo(span(nowMs - lastMs)));
    const steps = await this.#around.test;
    const stored = steps?.get("");
    const confirmed = steps?.get(this.#config.id);
    if (stored === undefined) this.fail("event", "the gateway did not store it", "KERB-OUT-FAILED");
    else if (confirmed === undefined)
      this.fail("event", words.unconfirmed(span(this.#around.waitMs)), "KERB-UP-NO-CUSTODY");
    else this.add("event", "ok", words.confirmed(stored.ms, shownMs(confirmed.ms)), { ms: confirmed.ms });
  }
}

function shownMs(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** The event's steps by uplink ("": stored), until all have confirmed it or the time is over. */
async function testEvent(
  { socket }: Box,
  uplinks: readonly string[],
  waitMs: number,
): Promise<Map<string, TestStep>> {
  const found = new Map<string, TestStep>();
  const stop = AbortSignal.timeout(waitMs);
  try {
    for await (const answer of ask(socket, { verb: "upstream-test" }, stop)) {
      const step = answer as TestStep;
      found.set(step.step === "stored" ? "" : step.uplink, step);
      if (uplinks.every((id) => found.has(id))) break;
    }
  } catch {
    // What was seen until then counts.
  }
  return found;
}

const marks = {
  ok: ["✓", "green"],
  warn: ["!", "yellow"],
  bad: ["✗", "red"],
  skipped: ["-", "dim"],
} as const;

/** The ladder as lines for people; a failure with its code, what was seen, and what to do. */
export function ladderLines({ uplink, url, steps }: UpstreamLadder, language: Language): string[] {
  const words = upstreamWords[language];
  const common = dictionary[language];
  const width = Math.max(...Object.values(words.steps).map(displayWidth));
  const labels = Math.max(...[common.seen, common.likely, common.remedy].map(displayWidth));
  const lines = steps.flatMap(({ step, state, text, ms, code, seen }, i) => {
    const [mark, colour] = marks[state];
    const took = ms === undefined || step === "event" ? "" : `   ${ms} ms`;
    const shown = code === undefined ? text : `${code}  ${text}`;
    const head = ` ${i + 1} ${pad(words.steps[step], width)}  ${paint(colour, mark)} ${printable(shown)}${took}`;
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

/** `kerb upstream test`: the way to the IOC step by step, to an event that the IOC confirms; exit code 5 where it ends. */
export async function upstreamTest(options: UpstreamOptions): Promise<number> {
  const file = findSite(options.site);
  const box = findBox({ ...options, site: file });
  const { language } = box;
  const words = upstreamWords[language];
  const site = await loadSite(file);
  const ids = site.uplinks.map(({ id }) => id);
  if (ids.length === 0) throw notFoundError(words.noUplinks, words.noUplinksCure);
  const chosen = site.uplinks.filter(({ id }) => options.uplink === undefined || id === options.uplink);
  if (chosen.length === 0)
    throw notFoundError(
      words.noUplink(printable(options.uplink ?? "")) + meantBy(options.uplink ?? "", ids),
      words.noUplinkCure(ids.join(", ")),
    );
  const waitMs = options.waitMs ?? waitDefaultMs;
  const isAlive = await isRunning(box);
  const status = isAlive ? await askOnce<GatewayStatus>(box.socket, { verb: "status" }) : undefined;
  const links = status?.uplinks.filter(
    ({ id, state }) => state === "connected" && chosen.some((one) => one.id === id),
  );
  const connected = links?.map(({ id }) => id) ?? [];
  const test = connected.length > 0 ? testEvent(box, connected, waitMs) : undefined;
  if (test !== undefined && options.json !== true) hint(words.waiting(span(waitMs)));
  const around = { site, language, status, test, waitMs };
  const ladders = await Promise.all(chosen.map((uplink) => new Ladder(uplink, around).climb()));
  if (options.json === true) printData("upstream-test", ladders);
  else printLines(ladders.flatMap((ladder) => ladderLines(ladder, language)));
  return ladders.every(({ ok }) => ok) ? exitCodes.ok : exitCodes.noAnswer;
}

import { hash } from "node:crypto";
import { EventEmitter } from "node:events";
import { isIPv6 } from "node:net";
import snmp, { type NotificationPdu, type Varbind } from "net-snmp";
import type { DriverContext, Subscription } from "../../gateway/driver.ts";
import { boundKeys, flagsOf, userOf, type Client } from "./client.ts";
import type { Header } from "./header.ts";
import { closed } from "./errors.ts";
import { joinListener, type Member, type Origin } from "./listener.ts";
import type { Address, Settings } from "./settings.ts";
import { decode, types } from "./values.ts";

/** RFC 3414: how far the time of a message may lie behind the newest of its sender. */
const windowSeconds = 150;
/** An inform is sent again until its answer has arrived: so many are remembered, to hand each on once. */
const informsMax = 1000;
/** A sender has given up an answer by then (net-snmp after 1 s), and may send again. */
const heldMsMax = 8000;
const enginesMax = 8;
/** The key of a user at an engine is a hash over a million octets: so many new engines are let count in a minute. */
const newEnginesMax = 8;
const newEnginesMs = 60_000;
const [trapOid, uptimeOid, genericTraps] = [
  "1.3.6.1.6.3.1.1.4.1.0",
  "1.3.6.1.2.1.1.3.0",
  "1.3.6.1.6.3.1.1.5",
];

/** Hears a device's traps and informs until the signal aborts. Rejects where the port cannot be had: busy, denied. */
export async function listen(
  subscription: Subscription<Address>,
  settings: Settings,
  client: Client,
  context: DriverContext,
): Promise<void> {
  const { signal, records } = subscription;
  const over = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  const { notifications } = settings;
  if (notifications === undefined || records.length === 0) return over;
  const from = notifications.from ?? client.peer.remoteAddress();
  const ear = new Ear(subscription, settings, from, context);
  const leave = await joinListener(notifications.address, notifications.port, ear, context);
  try {
    await over;
  } finally {
    leave();
    ear.close();
  }
}

/** What one device's messages pass before they are records: sender, protection, age; net-snmp opens them. */
class Ear implements Member {
  readonly from: string;
  readonly #subscription: Subscription<Address>;
  readonly #settings: Settings;
  readonly #community: string;
  readonly #socket = new EarSocket();
  readonly #receiver: ReturnType<typeof snmp.createReceiver>;
  /** A value says: it is on disk. */
  readonly #informs = new Map<string, Promise<boolean>>();
  readonly #newest = new Map<string, { boots: number; time: number }>();
  readonly #tried = new Set<string>();
  #triedSinceMs = -Infinity;
  #isWarned = false;
  readonly #context: DriverContext;
  /** The message that net-snmp is opening, and, of an inform, whether it is on disk. */
  #current: Header | undefined;
  #held: Promise<boolean> | undefined;
  /** Answers that wait. */
  #replies = 0;

  constructor(subscription: Subscription<Address>, settings: Settings, from: string, context: DriverContext) {
    this.from = canonicalAddress(from);
    this.#subscription = subscription;
    this.#settings = settings;
    this.#context = context;
    this.#community = settings.notifications?.community ?? settings.community;
    this.#receiver = snmp.createReceiver(
      {
        port: 162,
        address: "",
        includeAuthentication: true,
        dgramModule: { createSocket: () => this.#socket },
      },
      (error, heard) => {
        if (error === null && heard !== undefined) this.#open(heard.pdu);
      },
    );
    const user = userOf(settings);
    if (user === undefined) this.#receiver.getAuthorizer().addCommunity(this.#community);
    else this.#receiver.getAuthorizer().addUser(user);
  }

  /** Is the message one that this device may send? An SNMPv3 sender may first ask for the engine of kerb. */
  expects({ version, community, user, flags, pduType }: Header): boolean {
    const { security } = this.#settings;
    if (version !== 3) return security === undefined && community === this.#community;
    if (security === undefined) return false;
    if (user === "" && pduType === snmp.PduType["GetRequest"]) return true;
    const wanted = flagsOf(this.#settings);
    return user === security.user && (flags & wanted) === wanted;
  }

  hear(bytes: Buffer, header: Header, origin: Origin): void {
    if (header.version === 3 && !this.#isAffordable(header.engineId)) return;
    boundKeys();
    this.#current = header;
    this.#held = undefined;
    try {
      this.#socket.emit("message", bytes, { address: origin.address, port: origin.port });
      // net-snmp acknowledges an inform before it hands it on; here it leaves when what it told is on disk.
      void this.#reply(this.#socket.answers.splice(0), origin, this.#held);
    } catch {
      // net-snmp reports most of what it cannot open; what it throws at is no notification either.
    }
    this.#socket.answers.length = 0;
    this.#current = undefined;
  }

  /** In time or not at all: an answer that comes late would be taken for that of a later try. */
  async #reply(answers: Buffer[], origin: Origin, held: Promise<boolean> | undefined): Promise<void> {
    if (held !== undefined) {
      if (this.#replies >= informsMax) return;
      const begunMs = performance.now();
      this.#replies++;
      const isHeld = await held;
      this.#replies--;
      if (!isHeld || performance.now() - begunMs > heldMsMax) return;
    }
    for (const answer of answers) origin.reply(answer);
  }

  close(): void {
    this.#receiver.close();
    this.#socket.removeAllListeners();
  }

  #open(pdu: NotificationPdu): void {
    const header = this.#current;
    if (header === undefined) return;
    const isInform = pdu.type === snmp.PduType["InformRequest"];
    if (header.version === 3 && (header.user === "" || (!isInform && this.#isOld(header)))) return;
    const { sink, signal } = this.#subscription;
    if (signal.aborted) throw closed(this.from);
    // A device that has restarted counts its requests anew, but tells another uptime.
    const told = `${pdu.id ?? 0} ${hash("sha256", JSON.stringify(pdu.varbinds))}`;
    this.#held = isInform ? this.#informs.get(told) : undefined;
    if (this.#held !== undefined) return;
    sink.alive();
    const { name, varbinds } = contentOf(pdu);
    this.#subscription.records.forEach((record, index) => {
      if (canonical(record.address.notification ?? "") !== canonical(name)) return;
      const answers = record.fields.map(({ address }) => {
        const varbind = varbinds.find(({ oid }) => oid === address.oid || oid.startsWith(`${address.oid}.`));
        return varbind === undefined ? undefined : decode(varbind, address, this.#settings.charset);
      });
      sink.record(index, answers);
    });
    if (isInform) this.#held = this.#remember(told, sink.held?.(true) ?? Promise.resolve(true));
  }

  #isAffordable(engineId: string): boolean {
    if (this.#newest.has(engineId) || this.#tried.has(engineId)) return true;
    if (performance.now() - this.#triedSinceMs > newEnginesMs) {
      this.#tried.clear();
      this.#triedSinceMs = performance.now();
    }
    if (this.#tried.size >= newEnginesMax) return false;
    this.#tried.add(engineId);
    return true;
  }

  /** A message that was recorded and is sent again: older than the newest of its engine by more than RFC 3414 lets. */
  #isOld({ engineId, boots, time }: Header): boolean {
    const newest = this.#newest.get(engineId);
    if (newest !== undefined) {
      const isOld = boots < newest.boots || (boots === newest.boots && time < newest.time - windowSeconds);
      if (isOld && !this.#isWarned)
        this.#context.log("warn", `notifications from ${this.from} with an old SNMPv3 time are not believed`);
      this.#isWarned ||= isOld;
      if (isOld || (boots === newest.boots && time <= newest.time)) return isOld;
    }
    this.#newest.set(engineId, { boots, time });
    const [oldest] = this.#newest.keys();
    if (this.#newest.size > enginesMax && oldest !== undefined) this.#newest.delete(oldest);
    return false;
  }

  #remember(inform: string, kept: Promise<boolean>): Promise<boolean> {
    const held = kept.catch(() => false);
    this.#informs.set(inform, held);
    // What was dropped has to be told when it comes again.
    void held.then((isHeld) => isHeld || this.#informs.delete(inform));
    const [oldest] = this.#informs.keys();
    if (this.#informs.size > informsMax && oldest !== undefined) this.#informs.delete(oldest);
    return held;
  }
}

/** IPv6 addresses in the one way in which the system tells them. */
function canonicalAddress(address: string): string {
  const [plain = "", ...zone] = address.split("%");
  return isIPv6(plain) ? [new URL(`http://[${plain}]`).hostname.slice(1, -1), ...zone].join("%") : address;
}

/** Stands for the shared socket before net-snmp's receiver of one device. */
class EarSocket extends EventEmitter {
  readonly answers: Buffer[] = [];

  bind(): void {}
  close(): void {}

  send(
    bytes: Buffer,
    offset: number,
    length: number,
    _port: number,
    _address: string,
    sent: (error: Error | null) => void,
  ): void {
    this.answers.push(bytes.subarray(offset, offset + length));
    sent(null);
  }
}

/** A notification's OID and its objects; those of v1 as RFC 3584, 3.1 maps them. */
function contentOf(pdu: NotificationPdu): { name: string; varbinds: Varbind[] } {
  if (pdu.enterprise === undefined) {
    const name = pdu.varbinds.find(({ oid }) => oid === trapOid)?.value;
    return { name: typeof name === "string" ? name : "", varbinds: pdu.varbinds };
  }
  const { enterprise, generic = 6, specific = 0, upTime = 0, varbinds } = pdu;
  const name = generic < 6 ? `${genericTraps}.${generic + 1}` : `${enterprise}.0.${specific}`;
  return { name, varbinds: [...varbinds, { oid: uptimeOid ?? "", type: types.ticks ?? 67, value: upTime }] };
}

/** A v1 trap has a 0 before its last number that the MIB may not have. */
const canonical = (oid: string): string => oid.replace(/\.0(\.\d+)$/, "$1");

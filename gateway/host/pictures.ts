import { setTimeout as sleep } from "node:timers/promises";
import { DeviceError, type Connection } from "../driver.ts";
import { keepSnapshot, newReference, type Reference, type SnapshotRule } from "../snapshots.ts";
import { within } from "./identify.ts";
import type { HostDevice } from "./messages.ts";

/** A picture shows what the event is about only while it is young. */
const takeMs = 5000;
/** Of one device; a plate a second is a street, more is a storm. */
const pauseMs = 1000;
/** A disk that hangs does not hold up the end of a host. */
const endMs = 500;

type Data = Record<string, unknown>;

/**
 * Pictures of one device. An event never waits for one: it leaves with a reference, and when the picture is kept
 * or given up a second one (`record: "snapshot"`) tells its hash under that reference. Never throws.
 */
export class Pictures {
  readonly #rule: SnapshotRule | undefined;
  readonly #device: string;
  readonly #connection: () => Connection<unknown> | undefined;
  readonly #tell: (data: Data) => void;
  readonly #ending = new AbortController();
  #taking: Promise<void> | undefined;
  #takenMs = -Infinity;

  constructor(
    { id, snapshots }: Pick<HostDevice, "id" | "snapshots">,
    connection: () => Connection<unknown> | undefined,
    tell: (data: Data) => void,
  ) {
    this.#rule = snapshots;
    this.#device = id;
    this.#connection = connection;
    this.#tell = tell;
  }

  /** An event as it is to leave now; where the rule names it, its picture is taken from here on. */
  withReference(data: Data): Data {
    const rule = this.#rule;
    if (rule === undefined || !isNamed(rule, data)) return data;
    const missing = (why: string): Data => ({ ...data, snapshot: { missing: why } });
    const connection = this.#connection();
    if (connection?.snapshot === undefined) return missing("unsupported");
    if (this.#taking !== undefined || performance.now() - this.#takenMs < pauseMs) return missing("too-soon");
    const reference = newReference(rule.keepMs);
    this.#taking = this.#take(rule, reference, connection, data["record"]);
    return { ...data, snapshot: reference };
  }

  /** Gives up the picture that is being taken; resolves when that is told. */
  async end(): Promise<void> {
    this.#ending.abort();
    if (this.#taking !== undefined) await Promise.race([this.#taking, sleep(endMs)]);
  }

  async #take(
    rule: SnapshotRule,
    reference: Reference,
    connection: Connection<unknown>,
    of: unknown,
  ): Promise<void> {
    // The event itself goes first.
    await Promise.resolve();
    const snapshot = await this.#kept(rule, reference, connection).catch((error: unknown) => ({
      ref: reference.ref,
      missing: error instanceof DeviceError ? error.code : "internal",
    }));
    this.#taking = undefined;
    this.#takenMs = performance.now();
    this.#tell({ record: "snapshot", of, snapshot });
  }

  async #kept(rule: SnapshotRule, reference: Reference, connection: Connection<unknown>): Promise<Data> {
    const picture = await within(
      takeMs,
      this.#ending.signal,
      (signal) =>
        connection.snapshot?.(signal) ??
        Promise.reject(new DeviceError("unsupported", `${this.#device} has no pictures`)),
    );
    return keepSnapshot(rule, this.#device, picture, reference).then(
      (sha256) => ({ ...reference, sha256 }),
      () => ({ ref: reference.ref, missing: "storage" }),
    );
  }
}

/** The end of an alarm has no picture. */
function isNamed({ records }: SnapshotRule, { record, state }: Data): boolean {
  return (
    typeof record === "string" && records.includes(record) && (state === undefined || state === "active")
  );
}

/**
 * Why data are missing: the `cause` of a `gap` event's data, each with `from` and `to` (ISO 8601). `open: true` says
 * that the gap goes on beyond `to`. Numbers that were given and will never come are in `dropped`
 * (`[{epoch, from, to, reason}]`); all other causes tell of data that never got a number.
 */
const gapCauses = {
  /**
   * A device did not answer: from its last good read to the next one. `code` of the loss, `pollsMissed` (about).
   * Told `open` at the loss and again at the end: the later one with the same device and `from` replaces the earlier;
   * when the clock was set meanwhile, the one whose `from` is in `replaces`.
   */
  device_offline: "the device did not answer",
  /**
   * A device that tells things by itself was not listened to: from its last sign of life to the next one, told at
   * the end. `code` of the loss. What has no state (a plate, a weighing) and fell into it is not known.
   */
  not_listening: "nobody listened to the device",
  /** The process that runs a driver ended: `driver`, `reason`, `devices`. */
  driver_error: "the driver's process ended",
  /** No gateway ran: from the last commit to this start. `restart` process or boot, `ended` clean or killed. */
  box_off: "the gateway did not run",
  /** The outbox used up its budget and dropped the oldest: `dropped`, `lostCount`, `devices`. */
  buffer_overflow: "the outbox was full",
  /** A driver's process had to drop what the outbox took too long for: `lostCount`, `devices`. */
  handover_overflow: "the way into the outbox was full",
  /** Stored events were damaged, refused or too large (`dropped`), or a queue file was put aside (`file`). */
  storage: "stored events were lost",
  /** The wall clock jumped: `from` before, `to` after, `stepMs`; `boot` and `monoMs` of the moment. */
  clock_step: "the clock was set",
  /** A device was read in the run before and is switched off in the site file. */
  disabled: "the device is switched off",
  /** The site file changed between two runs: `change` added, removed or changed. */
  config_change: "the configuration changed",
} as const;

export type GapCause = keyof typeof gapCauses;

/** The data of a `gap` event. */
export function gap(
  cause: GapCause,
  fromMs: number,
  toMs: number,
  details: Record<string, unknown> = {},
): Record<string, unknown> {
  return { cause, from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString(), ...details };
}

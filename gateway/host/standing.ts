import { DeviceError } from "../driver.ts";

/** The least time from one opening to the next, also where nothing is told of a lone lost answer. */
export const reopenMs = 1000;
const lookMs = 1000;

/** What is known of whether a device is there: its failures in a row, and how long it has said nothing by itself. */
export class Standing {
  failures = 0;
  /** The subscription has ended by itself, or in silence; a poll that is answered does not make up for that. */
  #isDeaf = false;
  #wasSilent = false;
  /** When it was heard last, counted in the time in which somebody listened; undefined: nobody has yet. */
  #heardMs: number | undefined;
  #leftMs = 0;

  #busyInARow = 0;

  polled(): void {
    if (!this.#isDeaf) this.failures = 0;
  }

  /** The device has spoken by itself. */
  heard(): void {
    this.#heardMs = performance.now();
    this.#isDeaf = false;
    this.failures = 0;
  }

  /** Only one answer was lost, which may be noise. What a subscription tells of a loss comes but once. */
  get isLoneLoss(): boolean {
    return this.failures === 1 && !this.#isDeaf;
  }

  /**
   * Counts a failure; whether it is news. A lost device that is busy once, with a person who looks for it or with
   * others, is lost for its own cause as before: `busy` is news when it comes twice in a row.
   */
  meets(code: string, { state }: { state: string }): boolean {
    this.#busyInARow = code === "busy" ? this.#busyInARow + 1 : 0;
    return state !== "lost" || this.#busyInARow !== 1;
  }

  /**
   * Listens until the subscription ends, or until nothing has been heard for `silenceMs` (0: as long as it likes);
   * settles with the signal, else rejects with a `DeviceError`. A connection that was lost does not begin the
   * silence anew.
   */
  async listen(subscribe: () => Promise<void>, silenceMs: number, signal: AbortSignal): Promise<void> {
    const nowMs = performance.now();
    const isNew = this.#heardMs === undefined || this.#wasSilent;
    this.#heardMs = isNew ? nowMs : Math.min(nowMs, this.#heardMs! + nowMs - this.#leftMs);
    this.#wasSilent = false;
    const silent = Promise.withResolvers<never>();
    const look = (): void => {
      if (performance.now() - (this.#heardMs ?? 0) < silenceMs) return;
      this.#wasSilent = true;
      silent.reject(
        new DeviceError("silent", `nothing has been heard for ${Math.round(silenceMs / 1000)} s`),
      );
    };
    const timer = silenceMs === 0 ? undefined : setInterval(look, Math.min(lookMs, silenceMs / 4));
    try {
      await Promise.race([subscribe(), silent.promise]);
      if (!signal.aborted) throw new DeviceError("hung-up", "the device has ended the subscription");
    } catch (error) {
      // It ended with a connection that we closed, and is no news.
      if (!(error instanceof DeviceError && error.code === "closed")) this.#isDeaf = true;
      throw error;
    } finally {
      clearInterval(timer);
      this.#leftMs = performance.now();
    }
  }
}

import { Endpoint as SharedEndpoint, type Receiver, type Transport, type Wire } from "../media.ts";
import type { Unit } from "./unit.ts";

export interface SerialTransport extends Transport {
  readonly type?: "tcp" | "serial";
}

/** A text that has no end is forgotten at this length. */
const requestCharactersMax = 256;

/** One listener or one serial line and the instruments that live on it. */
export class Endpoint extends SharedEndpoint<Unit> {
  constructor(transport: SerialTransport, log: (text: string) => void) {
    super(transport, transport.type !== "serial", (text) => log(`serial simulator: ${text}`));
  }

  /** Gathers what comes over one connection into requests. */
  protected receiver(wire: Wire): Receiver {
    let kept = "";
    return {
      push: (bytes) => {
        if (this.#cutsAtFirstByte()) return false;
        kept += bytes.toString("latin1");
        for (;;) {
          const length = this.#requestLength(kept);
          if (length <= 0) break;
          const request = kept.slice(0, length);
          kept = kept.slice(length);
          for (const unit of this.units) unit.serve(request, wire);
        }
        kept = kept.slice(-requestCharactersMax);
        return true;
      },
      close: () => {},
    };
  }

  #requestLength(text: string): number {
    const [unit] = this.units;
    return unit?.requestLength(text) ?? 0;
  }

  /** True when a connection must be cut at the first byte. */
  #cutsAtFirstByte(): boolean {
    const units = [...this.units];
    return this.hasListener && units.length > 0 && units.every(({ fault }) => fault === "hangUp");
  }
}

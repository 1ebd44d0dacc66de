import { Endpoint as SharedEndpoint, type Receiver, type Transport, type Wire } from "../media.ts";
import { exception, exceptions } from "./device.ts";
import { mbapFrame, mbapReceiver, rtuFrame, rtuReceiver, type Request } from "./frames.ts";
import type { Unit } from "./unit.ts";

export interface ModbusTransport extends Transport {
  readonly type?: "tcp" | "rtu-over-tcp" | "rtu";
}

const writeFunctions = new Set([5, 6, 15, 16, 22]);

/** One listener or one serial line and the Modbus units that live on it. */
export class Endpoint extends SharedEndpoint<Unit> {
  readonly framing: "mbap" | "rtu";

  constructor(transport: ModbusTransport, log: (text: string) => void) {
    const { type = "tcp" } = transport;
    super(transport, type !== "rtu", (text) => log(`modbus simulator: ${text}`));
    this.framing = type === "tcp" ? "mbap" : "rtu";
  }

  protected receiver(wire: Wire): Receiver {
    const receiver =
      this.framing === "mbap"
        ? mbapReceiver((request) => {
            this.#handle(request, wire);
            return wire.isOpen();
          })
        : rtuReceiver((request) => this.#handle(request, wire));
    return {
      push: (chunk) => !this.#cutsAtFirstByte() && receiver.push(chunk),
      close: () => receiver.close(),
    };
  }

  /** True when a connection must be cut at the first byte. */
  #cutsAtFirstByte(): boolean {
    const units = [...this.units];
    const cuts = this.hasListener && units.length > 0 && units.every(({ fault }) => fault === "hangUp");
    if (cuts) for (const unit of units) unit.counts.requests += 1;
    return cuts;
  }

  /** One request from the wire; answered, or not, by the unit it is for. */
  #handle(request: Request, wire: Wire): void {
    const { unit: id, pdu } = request;
    if (this.framing === "rtu" && id === 0) return this.#broadcast(pdu);
    const frame = (answer: Uint8Array) =>
      this.framing === "mbap" ? mbapFrame(request, answer) : rtuFrame(id, answer);
    const unit = this.#find(id);
    if (unit !== undefined) return unit.serve(pdu, { ...wire, frame });
    // A gateway knows that nobody is behind it; a single device does not answer for others.
    if (this.framing === "mbap" && this.units.size > 1) {
      wire.write(frame(exception(pdu[0] ?? 0, exceptions.noTarget)));
    }
  }

  #find(id: number): Unit | undefined {
    const units = [...this.units];
    const isWildcard = this.framing === "mbap" && (id === 0 || id === 255);
    return units.find((unit) => unit.id === id) ?? (isWildcard && units.length === 1 ? units[0] : undefined);
  }

  #broadcast(pdu: Buffer): void {
    if (!writeFunctions.has(pdu[0] ?? 0)) return;
    for (const unit of this.units) if (unit.fault === undefined) unit.device.answer(pdu);
  }
}

import type { Expectation, Framing } from "./codec.ts";

/** One request and what became of it. */
export class Request implements Expectation {
  readonly pdu: Uint8Array;
  /** As an error message names it: "read holding 0-9". */
  readonly text: string;
  readonly functionCode: number;
  readonly dataBytes: number | undefined;
  /** Of a write: the whole answer. */
  readonly echo: Uint8Array | undefined;
  state: "unsent" | "pending" | "answered" | "refused" | "lost" = "unsent";
  /** The exception code when `refused`. */
  exception = 0;
  /** When `lost`: bytes that arrived meanwhile but were not the answer. */
  strayBytes = 0;
  /** When `lost`: an answer of the right unit, function and length came, and its checksum was wrong. */
  isDamaged = false;

  /** `echoOf`: gives the answer to a request that writes. */
  constructor(
    pdu: Uint8Array,
    text: string,
    dataBytes: number | undefined,
    echoOf?: (pdu: Uint8Array) => Uint8Array,
  ) {
    this.pdu = pdu;
    this.text = text;
    this.functionCode = pdu[0]!;
    this.dataBytes = dataBytes;
    this.echo = echoOf?.(pdu);
  }
}

/** Called with the answer PDU to request `index`; the bytes are valid only during the call. */
export type Accept = (index: number, bytes: Uint8Array, at: number, length: number) => void;

/** Requests that are sent in order, with their frames built once, so that a plan can be run again and again. */
export class Batch {
  readonly requests: readonly Request[];
  readonly accept: Accept;
  /** All frames one behind the other; frame i ends at `ends[i]`. */
  readonly frames: Buffer;
  readonly ends: readonly number[];
  /** Index of the first request that has not been sent. */
  next = 0;
  answered = 0;
  /** Requests that the device itself refused: it is there. */
  refused = 0;
  /** Requests of which a gateway says that their target is silent (exception 11). */
  targetSilent = 0;
  lost = 0;

  constructor(requests: readonly Request[], framing: Framing, unit: number, accept: Accept) {
    const frames = requests.map((request) => framing(unit, request.pdu));
    let end = 0;
    this.requests = requests;
    this.frames = Buffer.concat(frames);
    this.ends = frames.map((frame) => (end += frame.length));
    this.accept = accept;
  }

  /** Sending more is of no use: nothing but silence so far, and twice. */
  get hopeless(): boolean {
    return this.answered === 0 && this.refused === 0 && this.lost + this.targetSilent >= 2;
  }

  /** The bytes of one request. */
  frame(index: number): Buffer {
    return this.frames.subarray(index === 0 ? 0 : this.ends[index - 1], this.ends[index]);
  }

  reset(): void {
    for (const request of this.requests) request.state = "unsent";
    this.next = this.answered = this.refused = this.targetSilent = this.lost = 0;
  }

  /** The answer to request `index` has come: its data (exception 0) or a refusal. */
  settle(index: number, exception: number, bytes: Uint8Array, at: number, length: number): void {
    const request = this.requests[index]!;
    if (exception === 0) {
      request.state = "answered";
      this.answered++;
      this.accept(index, bytes, at, length);
      return;
    }
    request.state = "refused";
    request.exception = exception;
    if (exception === 11) this.targetSilent++;
    else this.refused++;
  }

  /** No answer came in time. */
  lose(index: number, strayBytes: number): void {
    const request = this.requests[index]!;
    request.state = "lost";
    request.strayBytes = strayBytes;
    this.lost++;
  }
}

import { clockState, monotonicMs } from "../clock.ts";
import { EventWriter } from "../event.ts";
import { frameHeadBytes, writeFrame } from "../outbox/frames.ts";
import type { CommandState } from "./state.ts";

/** A stream of the outbox that no host has: theirs count up from 1, and below it no commit is told. */
const commandStream = Number.MAX_SAFE_INTEGER;
/** Events that wait for their commit; a disk that hangs must not fill the memory. */
const waitingMax = 4096;

interface Waiting {
  bytes: number;
  resolve: () => void;
  reject: (error: Error) => void;
}

/**
 * States of commands as events of the outbox. They take the way of a host's events, because there each commit is
 * told: a result counts as told only when its event is on the disk.
 */
export class ToldEvents {
  readonly #frames: (stream: number, bytes: Uint8Array) => void;
  readonly #writer = new EventWriter();
  readonly #waiting: Waiting[] = [];

  constructor(frames: (stream: number, bytes: Uint8Array) => void) {
    this.#frames = frames;
  }

  /** Resolves when the event is committed. `index`: dictionary index of the device that it is about. */
  tell(state: CommandState, index: number): Promise<void> {
    if (this.#waiting.length >= waitingMax) return Promise.reject(new Error("the outbox does not take it"));
    // A token in a record that others read would be no token.
    const { arm: _, nonce: __, ...data } = state;
    this.#writer.begin("command-result", index, Date.now(), monotonicMs(), clockState());
    this.#writer.object(data);
    const body = this.#writer.bytes();
    const frame = Buffer.allocUnsafeSlow(frameHeadBytes + body.length);
    const bytes = writeFrame(frame, 0, 0, body);
    const committed = new Promise<void>((resolve, reject) => this.#waiting.push({ bytes, resolve, reject }));
    this.#frames(commandStream, frame);
    return committed;
  }

  /** The outbox has committed, or `dropped`, so many bytes of the stream. */
  accepted(stream: number, bytes: number, dropped: boolean): void {
    if (stream !== commandStream) return;
    let left = bytes;
    for (let next = this.#waiting[0]; next !== undefined && left >= next.bytes; next = this.#waiting[0]) {
      left -= next.bytes;
      this.#waiting.shift();
      if (dropped) next.reject(new Error("the outbox has dropped it"));
      else next.resolve();
    }
    const [first] = this.#waiting;
    if (first !== undefined) first.bytes -= left;
  }
}

import { type DemoView, gatewaySentence, screenLines } from "./demo-screen.ts";
import type { Words } from "../language.ts";
import { hint, printData, printLines } from "../output.ts";
import { booksSentence, custodyLagMs, shownState, totalBooks } from "../status.ts";
import { paint, span, terminalSize } from "../../text.ts";

/** How a demo shows itself: a live screen, plain lines, or JSON. */
export interface Report {
  starting(view: DemoView): void;
  show(view: DemoView): void;
  /** The terminal is as it was. */
  close(): void;
  stopping(): void;
  closed(books: Record<"accepted" | "delivered" | "kept" | "dropped", number>, isBalanced: boolean): void;
}

const hideCursor = "\u001b[?25l";
const showCursor = "\u001b[?25h";
const home = "\u001b[H";
const clearScreen = "\u001b[2J";
const clearLine = "\u001b[K";
const clearBelow = "\u001b[J";

type Books = Parameters<Report["closed"]>[0];

function closingLine(books: Books, isBalanced: boolean, words: Words): string {
  return `${booksSentence(books, words)}   ${isBalanced ? words.balanced : words.broken}`;
}

/** Redraws the whole screen in place. */
export class LiveScreen implements Report {
  readonly #words: Words;
  #view: DemoView | undefined;
  #isOpen = false;

  constructor(words: Words) {
    this.#words = words;
  }

  starting(view: DemoView): void {
    this.#isOpen = true;
    process.stdout.write(hideCursor + home + clearScreen);
    // However this process ends, the terminal gets its cursor back.
    process.once("exit", () => this.close());
    process.stdout.on("resize", () => {
      if (!this.#isOpen || this.#view === undefined) return;
      process.stdout.write(home + clearScreen);
      this.show(this.#view);
    });
    this.show(view);
  }

  show(view: DemoView): void {
    this.#view = view;
    const lines = screenLines(view, this.#words, terminalSize());
    process.stdout.write(home + lines.map((line) => `${line}${clearLine}\n`).join("") + clearBelow);
  }

  close(): void {
    if (this.#isOpen) process.stdout.write(showCursor);
    this.#isOpen = false;
  }

  stopping(): void {
    hint(`${this.#words.stopping} …`);
  }

  closed(books: Books, isBalanced: boolean): void {
    printLines([paint(isBalanced ? "green" : "red", closingLine(books, isBalanced, this.#words))]);
  }
}

const progressMs = 5000;

/** Lines for a log: what has changed, and every five seconds how it goes. */
export class PlainReport implements Report {
  readonly #words: Words;
  readonly #states = new Map<string, string>();
  #newsShownMs = 0;
  #progressAtMs = -Infinity;
  #linesAtMs = -Infinity;
  #hasFirst = false;
  readonly #changed = new Set<string>();
  readonly #happened: string[] = [];

  constructor(words: Words) {
    this.#words = words;
  }

  starting({ name }: DemoView): void {
    printLines([`kerb   ${name}   ${this.#words.states.starting}`]);
  }

  show(view: DemoView): void {
    const words = this.#words;
    if (!this.#hasFirst && view.firstDeliveredMs !== undefined) {
      this.#hasFirst = true;
      printLines([
        `${words.firstEvent} ${(view.firstDeliveredMs / 1000).toFixed(1)} s`,
        `${words.tryNext}:`,
        ...view.commands.map(([command, purpose]) => `  ${command}   # ${words[purpose]}`),
      ]);
    }
    this.#collect(view);
    const nowMs = performance.now();
    if (nowMs - this.#linesAtMs < 1000) return;
    const changes = this.#changes(view);
    if (changes !== "") {
      this.#linesAtMs = nowMs;
      printLines([changes]);
    } else if (nowMs - this.#progressAtMs >= progressMs) {
      // Nothing has been told yet, and there is nothing to tell before the gateway answers.
      if (view.status === undefined && this.#progressAtMs === -Infinity) return;
      this.#progressAtMs = this.#linesAtMs = nowMs;
      printLines([this.#progress(view)]);
    }
  }

  /** Remembers which devices have another state than last told, and what else has happened. */
  #collect({ status, news }: DemoView): void {
    for (const { id, state } of status?.devices ?? []) {
      if (this.#states.get(id) !== state && state !== "starting") this.#changed.add(id);
      this.#states.set(id, state);
    }
    // Devices are told by their states, those of one state together.
    const fresh = news.filter(({ timeMs, about }) => about === "program" && timeMs > this.#newsShownMs);
    this.#newsShownMs = news.at(-1)?.timeMs ?? this.#newsShownMs;
    this.#happened.push(...fresh.map(({ text }) => text));
  }

  /** All changes since the last line as one. */
  #changes({ status }: DemoView): string {
    const changed = (status?.devices ?? []).filter(({ id }) => this.#changed.has(id));
    if (status !== undefined) this.#changed.clear();
    const groups = Map.groupBy(changed, (device) => shownState(device, this.#words).text);
    const texts = [...groups].map(
      ([state, devices]) => `${state}: ${devices.map(({ id }) => id).join(", ")}`,
    );
    return [...this.#happened.splice(0), ...texts].join("; ");
  }

  #progress(view: DemoView): string {
    const words = this.#words;
    const { status } = view;
    if (status === undefined) return gatewaySentence(view, words);
    const online = status.devices.filter(({ state }) => state === "online").length;
    const lag = span(custodyLagMs(status.outbox, Date.now()));
    return `${booksSentence(totalBooks(status.outbox), words)}   ${words.lag} ${lag}   ${words.states.online} ${online}/${status.devices.length}`;
  }

  close(): void {}

  stopping(): void {
    printLines([`${this.#words.stopping} …`]);
  }

  closed(books: Books, isBalanced: boolean): void {
    printLines([closingLine(books, isBalanced, this.#words)]);
  }
}

/** One JSON object a line: the programs, then the books every five seconds, and the closing ones. */
export class JsonReport implements Report {
  #progressAtMs = -Infinity;
  #hasFirst = false;

  starting({ name }: DemoView): void {
    printData("demo", { state: "starting", name });
  }

  show({ status, firstDeliveredMs, programs }: DemoView): void {
    if (!this.#hasFirst && firstDeliveredMs !== undefined) {
      this.#hasFirst = true;
      printData("demo", { state: "delivering", firstDeliveredMs: Math.round(firstDeliveredMs), programs });
    }
    const nowMs = performance.now();
    if (status === undefined || nowMs - this.#progressAtMs < progressMs) return;
    this.#progressAtMs = nowMs;
    const lagMs = custodyLagMs(status.outbox, Date.now());
    printData("demo", { state: "running", epoch: status.outbox.epoch, ...totalBooks(status.outbox), lagMs });
  }

  close(): void {}

  stopping(): void {
    printData("demo", { state: "stopping" });
  }

  closed(books: Books, isBalanced: boolean): void {
    printData("demo", { state: "stopped", ...books, balanced: isBalanced });
  }
}

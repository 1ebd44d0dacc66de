import type { OutboxStats } from "./outbox.ts";
import type { OutboxStore } from "./store.ts";

/** What only the file can say of the outbox. */
export type Figures = Pick<OutboxStats, "rows" | "oldestMs" | "bytes" | "books" | "fill" | "deadLetters">;

const none = { accepted: 0, delivered: 0, dropped: 0, kept: 0 };

/** Before the file has been opened. */
export const noFigures: Figures = {
  rows: 0,
  oldestMs: undefined,
  bytes: 0,
  fill: 0,
  books: { event: none, live: none },
  deadLetters: { counts: {}, newest: [] },
};

export function figuresOf(store: OutboxStore): Figures {
  const books = store.books();
  return {
    ...store.size(),
    rows: books.event.kept + books.live.kept,
    fill: store.fill(),
    books,
    deadLetters: store.deadLetters.summary(),
  };
}

import type { NodeId } from "./library.ts";

/** Classes of nodes that a listing is about (OPC 10000-3, 8.29). */
export const nodeClasses = { object: 1, variable: 2, method: 4 } as const;

/** A node that was met on the way. */
export interface Place {
  readonly node: NodeId;
  readonly nodeClass: number;
  /** The object that a method is called on. */
  readonly parent: NodeId | undefined;
  /** Names for people. */
  readonly path: readonly string[];
  /** Names in the words of a profile's path, with the prefixes that they need; undefined where it has no words. */
  readonly words: { readonly path: string; readonly namespaces: Record<string, string> } | undefined;
  /** Of a method: its own name in such words. */
  readonly method?: { readonly text: string; readonly namespaces: Record<string, string> } | undefined;
  readonly label: string;
  readonly depth: number;
}

/** Longest text of a server, and longest path, that a listing hands on. */
export const textLengthMax = 1000;

/** A server's text, bounded. */
export function cut(text: string): string {
  return text.length <= textLengthMax ? text : `${text.slice(0, textLengthMax - 1)}…`;
}

/** Levels that a topic filter may have; the depth of the tree, and so of the search, is bounded by it. */
const filterLevelsMax = 64;

/** Whether a PUBLISH may name this topic (MQTT 5 clause 4.7.1: no wildcards, no NUL, at least one character). */
export function isTopicName(topic: string): boolean {
  return topic.length > 0 && !/[+#\0]/.test(topic);
}

/** Whether a SUBSCRIBE may name this filter: `+` and `#` fill a whole level, `#` only the last (clause 4.7.1). */
export function isTopicFilter(filter: string): boolean {
  if (filter.length === 0 || filter.includes("\0")) return false;
  const levels = filter.split("/");
  if (levels.length > filterLevelsMax) return false;
  return levels.every((level, index) => {
    if (level === "#") return index === levels.length - 1;
    return level === "+" || !/[+#]/.test(level);
  });
}

/** Whether `topic` falls under `filter`; a leading wildcard never takes topics that begin with `$`. */
export function matchesFilter(filter: string, topic: string): boolean {
  if (topic.startsWith("$") && /^[+#]/.test(filter)) return false;
  const wanted = filter.split("/");
  const levels = topic.split("/");
  for (const [index, level] of wanted.entries()) {
    if (level === "#") return true;
    if (index >= levels.length) return false;
    if (level !== "+" && level !== levels[index]) return false;
  }
  return wanted.length === levels.length;
}

interface Node<Key, Entry> {
  readonly children: Map<string, Node<Key, Entry>>;
  readonly entries: Map<Key, Entry>;
}

/** Subscriptions by topic filter: one entry per filter and key, found without looking at every filter. */
export class SubscriptionTree<Key, Entry> {
  readonly #root: Node<Key, Entry> = { children: new Map(), entries: new Map() };

  set(filter: string, key: Key, entry: Entry): void {
    let node = this.#root;
    for (const level of filter.split("/")) {
      let child = node.children.get(level);
      if (child === undefined) {
        child = { children: new Map(), entries: new Map() };
        node.children.set(level, child);
      }
      node = child;
    }
    node.entries.set(key, entry);
  }

  delete(filter: string, key: Key): void {
    const levels = filter.split("/");
    const path = [this.#root];
    for (const level of levels) {
      const child = path.at(-1)?.children.get(level);
      if (child === undefined) return;
      path.push(child);
    }
    path.at(-1)?.entries.delete(key);
    for (let depth = levels.length; depth > 0; depth--) {
      const node = path[depth];
      if (node === undefined || node.entries.size > 0 || node.children.size > 0) return;
      path[depth - 1]?.children.delete(levels[depth - 1] ?? "");
    }
  }

  /** Calls `visit` for each entry whose filter takes `topic`; a key with several such filters comes up several times. */
  match(topic: string, visit: (key: Key, entry: Entry) => void): void {
    this.#search(this.#root, topic.split("/"), 0, visit);
  }

  #search(
    node: Node<Key, Entry>,
    levels: string[],
    depth: number,
    visit: (key: Key, entry: Entry) => void,
  ): void {
    const wildcards = depth > 0 || levels[0]?.startsWith("$") !== true;
    if (wildcards) {
      for (const [key, entry] of node.children.get("#")?.entries ?? []) visit(key, entry);
    }
    if (depth === levels.length) {
      for (const [key, entry] of node.entries) visit(key, entry);
      return;
    }
    const exact = node.children.get(levels[depth] ?? "");
    if (exact !== undefined) this.#search(exact, levels, depth + 1, visit);
    const single = wildcards ? node.children.get("+") : undefined;
    if (single !== undefined) this.#search(single, levels, depth + 1, visit);
  }
}

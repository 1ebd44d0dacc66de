const levelsMax = 32;

/** The topics that the formats have of their own. */
export const ownTopics = {
  json: undefined,
  "chirpstack-v4": "application/{applicationId}/device/{devEui}/event/up",
  "ttn-v3": "v3/{applicationId}/devices/{deviceId}/up",
  zigbee2mqtt: "{base}/{name}",
  "onvif-ej": "{prefix}/onvif-ej",
  "sparkplug-b": "spBv1.0/{group}/NBIRTH/{node}",
} as const;

/** Names in braces: "application/{applicationId}/device/{devEui}/event/up". */
export const placeholder = /\{([A-Za-z][A-Za-z0-9]*)\}/g;

/** Why this cannot be a topic filter (MQTT 5, 4.7.1); undefined = it can. */
export function filterProblem(filter: string): string | undefined {
  if (filter === "" || filter.includes("\0") || filter.length > 500)
    return "a topic has 1 to 500 characters, none of them NUL";
  const levels = filter.split("/");
  if (levels.length > levelsMax) return `a topic has at most ${levelsMax} levels`;
  const isWild = (level: string, i: number) =>
    level === "+" || (level === "#" && i === levels.length - 1) || !/[+#]/.test(level);
  return levels.every(isWild) ? undefined : "+ stands for a whole level, # for all at the end";
}

/** The names that a template wants. */
export function variablesOf(template: string): string[] {
  return [...template.matchAll(placeholder)].map(([, name = ""]) => name);
}

/** A template with its variables put in; undefined members are left out of the answer's `topic`. */
export function fill(
  template: string,
  variables: Readonly<Record<string, string>>,
): { topic: string } | { missing: string } {
  const missing = variablesOf(template).find((name) => !Object.hasOwn(variables, name));
  if (missing !== undefined) return { missing };
  return { topic: template.replaceAll(placeholder, (_, name: string) => variables[name] ?? "") };
}

const isAny = (level: string | undefined): boolean => level === "+" || level === "#";

/** Whether there is a topic that fits both filters. */
export function overlap(a: string, b: string): boolean {
  const [left, right] = [a.split("/"), b.split("/")];
  // A leading wildcard never takes topics that begin with `$`.
  if (isAny(left[0]) && right[0]?.startsWith("$") === true) return false;
  if (isAny(right[0]) && left[0]?.startsWith("$") === true) return false;
  for (let i = 0; ; i++) {
    const [one, other] = [left[i], right[i]];
    if (one === "#" || other === "#" || (one === undefined && other === undefined)) return true;
    if (one === undefined || other === undefined) return false;
    if (one !== other && !isAny(one) && !isAny(other)) return false;
  }
}

interface Node<Entry> {
  readonly children: Map<string, Node<Entry>>;
  readonly entries: Set<Entry>;
}

/** Who listens to which topic filter, found level by level instead of filter by filter. */
export class TopicTree<Entry> {
  readonly #root: Node<Entry> = { children: new Map(), entries: new Set() };

  add(filter: string, entry: Entry): void {
    let node = this.#root;
    for (const level of filter.split("/")) {
      const child: Node<Entry> = node.children.get(level) ?? { children: new Map(), entries: new Set() };
      node.children.set(level, child);
      node = child;
    }
    node.entries.add(entry);
  }

  /** Whether anybody still listens to the filter. */
  delete(filter: string, entry: Entry): boolean {
    const levels = filter.split("/");
    const path = [this.#root];
    for (const level of levels) {
      const child = path.at(-1)?.children.get(level);
      if (child === undefined) return false;
      path.push(child);
    }
    const last = path.at(-1)!;
    last.entries.delete(entry);
    const isUsed = last.entries.size > 0;
    for (let depth = levels.length; depth > 0; depth--) {
      const node = path[depth]!;
      if (node.entries.size > 0 || node.children.size > 0) break;
      path[depth - 1]!.children.delete(levels[depth - 1]!);
    }
    return isUsed;
  }

  /** Everybody whose filter takes this topic; a leading wildcard never takes topics that begin with `$`. */
  matching(topic: string): Entry[] {
    const found: Entry[] = [];
    const levels = topic.split("/");
    const visit = (node: Node<Entry>, depth: number): void => {
      const hasWild = depth > 0 || !topic.startsWith("$");
      if (hasWild) found.push(...(node.children.get("#")?.entries ?? []));
      if (depth === levels.length) {
        found.push(...node.entries);
        return;
      }
      const exact = node.children.get(levels[depth]!);
      const any = hasWild ? node.children.get("+") : undefined;
      if (exact !== undefined) visit(exact, depth + 1);
      if (any !== undefined) visit(any, depth + 1);
    };
    // A publisher decides how many levels a topic has.
    if (levels.length <= 4 * levelsMax) visit(this.#root, 0);
    return found;
  }
}

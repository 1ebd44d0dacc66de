import { printable } from "../errors.ts";

/** HTML in which everything is text that was not written here. */

class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type { Markup };
type Part = Markup | string | number | null | undefined | readonly Part[];

const entities: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function textOf(part: Part): string {
  if (part === null || part === undefined) return "";
  if (part instanceof Markup) return part.text;
  if (typeof part === "object") return part.map(textOf).join("");
  return printable(String(part)).replaceAll(/[&<>"']/g, (character) => entities[character] ?? "");
}

/** A piece of a page: what is put into it is escaped, unless it is such a piece itself. */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Markup {
  return new Markup(strings.map((text, i) => text + textOf(parts[i])).join(""));
}

/** A name in camelCase with dots, which a narrow column may break between its parts. */
export function breakable(name: string): Markup {
  return html`${name.split(/(?=[A-Z.])/).map((part, i) => (i === 0 ? html`${part}` : html`<wbr />${part}`))}`;
}

/** A JSON value as a script that no browser runs: no "<" can end it. */
export function dataBlock(id: string, value: unknown): Markup {
  const json = JSON.stringify(value).replaceAll("<", "\\u003c");
  return new Markup(`<script type="application/json" id="${id}">${json}</script>`);
}

/** A style sheet; what it says comes from here alone. */
export function styleBlock(css: string): Markup {
  return new Markup(`<style>${css}</style>`);
}

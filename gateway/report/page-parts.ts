import type { Language } from "../config/error-texts.ts";
import type { pageWords } from "./page-words.ts";
import { html, type Markup } from "./markup.ts";
import type { Problem, Report } from "./report.ts";

/** What all parts of the page are made with. */
export interface Shown {
  report: Report;
  language: Language;
  words: (typeof pageWords)[Language];
}

/** A table of names and values. */
export function table(rows: readonly (readonly [string, Markup | string | null])[]): Markup {
  return html`<table class="facts">
    <tbody>
      ${rows.map(
        ([name, value]) =>
          html`<tr>
            <th scope="row" class="row">${name}</th>
            <td>${value}</td>
          </tr> `,
      )}
    </tbody>
  </table>`;
}

/** "2026-11-22 17:30:05", in Vietnamese "22/11/2026 17:30:05", where the box stands. */
export function localTime(iso: string, { report: { made }, language }: Shown): string {
  const format = new Intl.DateTimeFormat(language === "vi" ? "en-GB" : "sv-SE", {
    timeZone: made.timeZone,
    dateStyle: "short",
    timeStyle: "medium",
  });
  return format.format(new Date(iso)).replace(",", "");
}

/** "thiết bị air-01, Máy đo bụi". */
export function where(
  { about, object, behind }: Problem,
  { devices }: Report,
  words: Shown["words"],
): Markup {
  // What several devices share is none of them.
  if (behind !== undefined) return html`${object}`;
  const name = about === "device" ? devices.find(({ id }) => id === object)?.name : undefined;
  return html`${words.about[about]}
  ${object}${name === undefined || name === object ? "" : html`<small>${name}</small>`}`;
}

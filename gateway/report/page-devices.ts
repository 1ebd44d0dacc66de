import { grouped, shownValue, span } from "../text.ts";
import { breakable, html, type Markup } from "./markup.ts";
import { localTime, type Shown, table } from "./page-parts.ts";
import type { ReportDevice, ReportPoint } from "./report.ts";

/** The devices of the printed report. */

const verdictMarks = { ok: "✓", failing: "✗", "not-commissioned": "–" } as const;
const qualityMarks = { good: "✓", uncertain: "!", bad: "✗", unheard: "…", unread: "–" } as const;
const identityMarks: Record<ReportDevice["tests"]["identity"], string> = {
  matches: "✓",
  differs: "✗",
  untold: "–",
  unknowable: "–",
  "other-unit": "!",
  unasked: "–",
};

const told = (parts: readonly (string | null | undefined)[]): string =>
  parts.filter((part) => part !== null && part !== undefined && part !== "").join(" ");

function stateText({ verdict, state }: ReportDevice, { words }: Shown): string {
  return `${verdictMarks[verdict]} ${words.verdicts[verdict]} (${words.states[state]})`;
}

export function overviewRow(device: ReportDevice, shown: Shown): Markup {
  const { id, name, identity, tests, profile } = device;
  const { vendor, model, firmware } = identity;
  const who = told([vendor, model, firmware === null ? null : `fw ${firmware}`]);
  const known = who === "" ? told([profile?.vendor, profile?.model]) : who;
  const { read } = tests;
  return html`<tr>
    <th scope="row">${id}<small>${name === id ? "" : name}</small></th>
    <td>${known === "" ? "–" : known}<small>${device.driver}</small></td>
    <td class="mark">${stateText(device, shown)}</td>
    <td class="number">${read === null ? "–" : `${read.answered} / ${read.asked}`}</td>
  </tr> `;
}

function profileText({ profile }: ReportDevice, { words }: Shown): Markup | string {
  if (profile === null) return words.noProfile;
  const { id, vendor, model, status, firmware, covers } = profile;
  const mark = covers === "inside" ? "✓" : covers === "outside" ? "✗" : "–";
  const made = told([vendor, model, status === null ? null : `(${words.status[status] ?? status})`]);
  const range = `${words.versions} ${firmware === "*" ? "firmware *" : `firmware ${firmware}`}`;
  return html`${id}<small>${made}, ${range}: ${mark} ${words.covers[covers]}</small>`;
}

function shownArgs(args: Record<string, unknown>): string {
  return Object.entries(args)
    .map(([name, value]) => `${name} = ${String(value)}`)
    .join(", ");
}

function writeText({ tests: { write } }: ReportDevice, shown: Shown): Markup | string {
  const { words } = shown;
  if (write === null) return `– ${words.notWritten}`;
  const { state, args, readBack, at, by, id } = write;
  const back = readBack === null ? "" : `, ${words.readBack} ${shownArgs(readBack)}`;
  return html`${state === "done" ? "✓" : "✗"} ${words.writeStates[state]}: ${shownArgs(args)}${back}<small
      >${localTime(at, shown)} · ${by} · ${id}</small
    >`;
}

function readText({ tests: { read, readFailure } }: ReportDevice, { words }: Shown): string {
  if (read === null) return readFailure === null ? `– ${words.notRead}` : `✗ ${readFailure}`;
  const mark = read.answered === read.asked && read.good === read.asked ? "✓" : "!";
  return `${mark} ${words.readResult(read.answered, read.asked, read.good, `${grouped(read.latencyMs)} ms`)}`;
}

function pollText({ tests: { polls } }: ReportDevice, { words }: Shown): string {
  if (polls === null) return `– ${words.notPolled}`;
  const mean = polls.meanMs === null ? "–" : `${grouped(polls.meanMs)} ms`;
  const mark = polls.lossPercent === 0 ? "✓" : "!";
  const loss = polls.lossPercent.toFixed(2);
  return `${mark} ${words.pollResult(grouped(polls.answered), grouped(polls.polls), loss, mean)}`;
}

function facts(device: ReportDevice, shown: Shown): Markup {
  const { words } = shown;
  const { identity, tests, events, reason, code } = device;
  const { vendor, model, firmware, serial } = identity;
  const who = told([
    vendor,
    model,
    firmware === null ? null : `${words.firmware} ${firmware}`,
    serial === null ? null : `${words.serial} ${serial}`,
  ]);
  const why = told([code, reason]);
  const booked =
    events === null
      ? words.unknown
      : `${words.accepted} ${grouped(events.accepted)} = ${words.delivered} ${grouped(events.delivered)} + ${words.kept} ${grouped(events.kept)} + ${words.dropped} ${grouped(events.dropped)}`;
  return table([
    [words.state, html`${stateText(device, shown)}${why === "" ? "" : html`<small>${why}</small>`}`],
    [words.address, `${device.driver} ${device.address}`],
    [words.identity, who === "" ? words.untold : who],
    [words.profile, profileText(device, shown)],
    [`${words.tests}: ${words.readTest}`, readText(device, shown)],
    [
      `${words.tests}: ${words.identityTest}`,
      `${identityMarks[tests.identity]} ${words.identityResults[tests.identity]}`,
    ],
    [`${words.tests}: ${words.pollTest}`, pollText(device, shown)],
    [`${words.tests}: ${words.writeTest}`, writeText(device, shown)],
    [words.events, booked],
  ]);
}

function pointRow(point: ReportPoint, { words, language }: Shown): Markup {
  const { name, label, value, unit, decimals, text, quality, code, reason, ageMs, limits, outside } = point;
  const shownText = text === null ? "" : ` · ${text[language]}`;
  const why = told([code, reason]);
  const range = limits === null ? "–" : limits.map((limit) => shownValue(limit, "1")).join(" … ");
  const more = label === null || label[language] === name ? "" : html`<small>${label[language]}</small>`;
  const wrong = outside ? html`<small>✗ ${words.outside}</small>` : "";
  return html`<tr><th scope="row">${breakable(name)}${more}</th><td>${shownValue(value, unit, decimals ?? undefined)}${shownText}</td><td><span class="mark">${qualityMarks[quality]} ${words.qualities[quality]}</span>${why === "" ? "" : html`<small>${why}</small>`}</td><td class="number">${ageMs === null ? "–" : span(ageMs, language)}</td><td${outside ? html` class="bad"` : ""}>${range}${wrong}</td></tr>
`;
}

export function deviceSection(device: ReportDevice, shown: Shown): Markup {
  const { words } = shown;
  const { id, name, points } = device;
  const [point, value, quality, age, limits] = words.pointTitles;
  const values = html`<table class="points">
    <caption>
      ${words.valuesOf(id)}
    </caption>
    <thead>
      <tr>
        <th scope="col">${point}</th>
        <th scope="col">${value}</th>
        <th scope="col">${quality}</th>
        <th scope="col">${age}</th>
        <th scope="col">${limits}</th>
      </tr>
    </thead>
    <tbody>
      ${points.map((one) => pointRow(one, shown))}
    </tbody>
  </table>`;
  return html`<section class="device">
    <h3>${id} <small>${name === id ? "" : name}</small></h3>
    ${facts(device, shown)} ${points.length === 0 ? html`<p>${words.noPoints}</p>` : values}
  </section> `;
}

import { createHash } from "node:crypto";
import { fingerprintOf } from "../box-key.ts";
import { grouped, mebibytes } from "../text.ts";
import type { Language } from "../config/error-texts.ts";
import { deviceSection, overviewRow } from "./page-devices.ts";
import { pageStyle } from "./page-style.ts";
import { localTime, table, type Shown, where } from "./page-parts.ts";
import { pageWords } from "./page-words.ts";
import { dataBlock, html, type Markup, styleBlock } from "./markup.ts";
import type { Problem, Report, SignedReport } from "./report.ts";

/** The report as one page of its own: nothing outside it is asked for, and nothing runs in it. */

/** Where the page keeps the report that it was made of. */
const reportBlock = "kerb-report";
const severityMarks = { blocking: "✗", warning: "!" } as const;

function head(shown: Shown): Markup {
  const { report, words } = shown;
  const { site, about, made } = report;
  const utc = made.at.replace("T", " ").slice(0, 19);
  const rows = [
    [
      words.place,
      html`${site.name}<small>${words.gateway} ${site.gateway} · ${words.city} ${site.city}</small>`,
    ],
    [words.contract, about.contract],
    [words.contractor, about.contractor],
    [words.acceptedBy, about.acceptedBy],
    [words.note, about.note],
    [words.made, html`${localTime(made.at, shown)} (UTC${made.local.slice(19)})<small>${utc} UTC</small>`],
  ] as const;
  const motto = words.motto;
  return html`${motto === undefined ? "" : html`<p class="motto"><strong>${motto[0]}</strong><span>${motto[1]}</span></p>`}
    <h1>${words.title}</h1>
    ${table(rows.filter(([, value]) => value !== null))}`;
}

function problemRow(problem: Problem, i: number, { words, language, report }: Shown): Markup {
  const { severity, code, title, seen, likely, do: remedy, behind } = problem;
  return html`<tr>
    <td class="number">${i + 1}</td>
    <td class="mark">${severityMarks[severity]} ${words.severity[severity]}</td>
    <td>${where(problem, report, words)}</td>
    <td>
      <strong>${title[language]}</strong><br />${words.seen}: ${seen[language]}<br />${words.likely}:
      ${likely[language]}<br />${words.do}: ${remedy[language]}
      ${behind === undefined ? "" : html`<br />${words.behind}: ${behind.join(", ")}`}<small
        ><code>${code}</code></small
      >
    </td>
  </tr> `;
}

function problems(shown: Shown): Markup {
  const { report, words } = shown;
  const { problems: list, missing, summary } = report;
  const mark = summary.blocking > 0 ? "✗" : summary.warnings > 0 ? "!" : "✓";
  const [number, level, place, what] = words.problemTitles;
  const rows = html`<table class="problems">
    <thead>
      <tr>
        <th scope="col">${number}</th>
        <th scope="col">${level}</th>
        <th scope="col">${place}</th>
        <th scope="col">${what}</th>
      </tr>
    </thead>
    <tbody>
      ${list.map((one, i) => problemRow(one, i, shown))}
    </tbody>
  </table>`;
  const left = html`<h3>${words.missing}</h3>
    <ul>
      ${missing.map((part) => html`<li>${words.missingParts[part]}</li>`)}
    </ul>`;
  return html`<p class="verdict">${mark} ${words.verdict(summary)}</p>
    <h2>${words.problems}</h2>
    ${list.length === 0 ? html`<p>✓ ${words.noProblems}</p>` : rows} ${missing.length === 0 ? "" : left}`;
}

function uplinkText(shown: Shown, uplink: Report["box"]["uplinks"][number]): Markup {
  const { words } = shown;
  const { state, url, custody, receiver, lastAcknowledgement: last, reason } = uplink;
  const mark = state === "connected" ? "✓" : "✗";
  const parts = [
    `${words.receiver}: ${words.receivers[receiver] ?? receiver}`,
    `${words.lastAcknowledgement}: ${last === null ? words.never : localTime(last, shown)}`,
    ...(reason === null ? [] : [reason]),
  ];
  return html`${mark} ${words.links[state] ?? state}, ${url} (${custody})<small>${parts.join(" · ")}</small>`;
}

function box(shown: Shown): Markup {
  const { report, words } = shown;
  const { kerb, via, startedAt, clock, diskFreeBytes, outbox, uplinks, audit } = report.box;
  const count = (name: "accepted" | "delivered" | "kept" | "dropped") =>
    `${words[name]} ${grouped(outbox?.[name] ?? 0)}`;
  const balance = outbox?.closes === true ? words.closes : outbox?.closes === false ? words.open : "";
  const rows: [string, Markup | string | null][] = [
    [words.gateway, `${report.site.gateway}, ${words.version} ${kerb}`],
    [words.source, words.via[via]],
    [words.startedAt, startedAt === null ? null : localTime(startedAt, shown)],
    [words.clock, `${clock === "synced" ? "✓" : clock === "unsynced" ? "✗" : "!"} ${words.clocks[clock]}`],
    [
      words.disk,
      diskFreeBytes === null || outbox === null
        ? null
        : `${mebibytes(diskFreeBytes)} ${words.free}; ${words.fill(mebibytes(outbox.bytes), mebibytes(outbox.bytesMax))}`,
    ],
    [
      words.books,
      outbox === null
        ? null
        : html`${count("accepted")} = ${count("delivered")} + ${count("kept")} + ${count("dropped")}<small
              >${balance}</small
            >`,
    ],
    ...uplinks.map((uplink): [string, Markup] => [`${words.uplink} ${uplink.id}`, uplinkText(shown, uplink)]),
    [words.audit, words.audits[audit]],
  ];
  return html`<h2>${words.box}</h2>
    ${table(rows.filter(([, value]) => value !== null))}`;
}

function overview(shown: Shown): Markup {
  const { report, words } = shown;
  const [device, model, state, read] = words.overviewTitles;
  return html`<h2>${words.overview} (${report.devices.length})</h2>
    <table class="overview">
      <thead>
        <tr>
          <th scope="col">${device}</th>
          <th scope="col">${model}</th>
          <th scope="col">${state}</th>
          <th scope="col">${read}</th>
        </tr>
      </thead>
      <tbody>
        ${report.devices.map((one) => overviewRow(one, shown))}
      </tbody>
    </table>`;
}

function signatures({ report, words }: Shown): Markup {
  const { contractor, acceptedBy } = report.about;
  const [name, position, signature, stamp] = words.signLines;
  const party = (title: string, who: string | null) =>
    html`<div>
      <h3>${title}</h3>
      <p class="day">${words.dayLine}</p>
      ${who === null ? "" : html`<p class="day">${who}</p>`}
      <p>${name}:</p>
      <p>${position}:</p>
      <p class="tall">${signature}:</p>
      <p class="tall">${stamp}:</p>
    </div>`;
  return html`<section class="signature">
    <h2>${words.signatures}</h2>
    <div class="sign">${party(words.partyOne, contractor)}${party(words.partyTwo, acceptedBy)}</div>
  </section>`;
}

function integrity({ words }: Shown, { sha256, publicKey, signature }: SignedReport): Markup {
  const rows: [string, Markup | string][] = [
    [words.digest, html`<code>${sha256}</code>`],
    ...(publicKey === null || signature === null
      ? [[words.key, `✗ ${words.unsigned}`] as [string, string]]
      : [
          [words.key, html`<code>${publicKey}</code> (Ed25519)`] as [string, Markup],
          [words.fingerprint, html`<code>${fingerprintOf(publicKey)}</code>`] as [string, Markup],
        ]),
  ];
  return html`<section class="signature">
    <h2>${words.integrity}</h2>
    ${table(rows)}
    <p>${words.howToVerify}</p>
  </section>`;
}

/** The page of a report in one language; the same report gives the same page. It is signed as a whole afterwards. */
export function pageOf(signed: SignedReport, language: Language): string {
  const { report } = signed;
  const words = pageWords[language];
  const shown: Shown = { report, language, words };
  const gateway = report.site.gateway.replaceAll(/[^\w.-]/g, "");
  const css = pageStyle(`${gateway} · sha256 ${signed.sha256.slice(0, 16)}`);
  const hash = createHash("sha256").update(css).digest("base64");
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
  return html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="referrer" content="no-referrer" />
        <title>${words.title} – ${report.site.name} – ${report.made.local.slice(0, 10)}</title>
        ${styleBlock(css)}
      </head>
      <body>
        <header>${head(shown)}</header>
        <main>
          ${problems(shown)} ${box(shown)} ${overview(shown)}
          <h2>${words.devices}</h2>
          ${report.devices.map((device) => deviceSection(device, shown))} ${signatures(shown)}
        </main>
        <footer>${integrity(shown, signed)}</footer>
        ${dataBlock(reportBlock, signed)}
      </body>
    </html> `.text;
}

const block = new RegExp(`<script type="application/json" id="${reportBlock}">(.*?)</script>`, "s");

/** The report that a page was made of, as JSON text; undefined: there is none. */
export function embeddedReport(page: string): string | undefined {
  return block.exec(page)?.[1];
}

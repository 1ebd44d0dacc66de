/** How the report looks on paper (A4, also in black and white) and on a phone. State is said by sign and word. */
export const pageStyle = (footer: string): string => `
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 15px/1.45 system-ui, "Noto Sans", "Segoe UI", Roboto, "DejaVu Sans", sans-serif; color: #000; background: #fff; overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.25; break-after: avoid; }
h1 { font-size: 1.5rem; margin: 1rem 0 .25rem; text-align: center; text-transform: uppercase; }
h2 { font-size: 1.15rem; margin: 1.8rem 0 .5rem; padding-bottom: .2rem; border-bottom: 2px solid #000; }
h3 { font-size: 1rem; margin: .6rem 0 .4rem; }
h3 small { font-weight: normal; }
p { margin: .4rem 0; }
.motto { text-align: center; margin: 0; }
.motto strong { display: block; }
.motto span { border-bottom: 1px solid #000; padding-bottom: .15rem; }
.verdict { border: 2px solid #000; padding: .6rem .8rem; margin: .8rem 0; font-weight: bold; break-inside: avoid; }
table { width: 100%; table-layout: fixed; border-collapse: collapse; margin: .4rem 0; font-size: .93em; }
caption { text-align: left; font-weight: bold; padding: .2rem 0; break-after: avoid; }
th, td { border: 1px solid #666; padding: .25rem .4rem; text-align: left; vertical-align: top; unicode-bidi: isolate; }
thead { display: table-header-group; }
thead th { background: #eee; }
tr { break-inside: avoid; }
th.row { width: 11.5rem; font-weight: 600; background: #f6f6f6; }
.number { text-align: right; }
td small, th small { display: block; color: #333; font-weight: normal; }
.facts td, code { overflow-wrap: anywhere; }
.points th small { display: inline; margin-left: .3em; }
.points thead th:nth-child(1) { width: 42%; }
.points thead th:nth-child(2) { width: 17%; }
.points thead th:nth-child(3) { width: 13%; }
.points thead th:nth-child(4) { width: 11%; }
.problems thead th:nth-child(1) { width: 2rem; }
.problems thead th:nth-child(2) { width: 15%; }
.problems thead th:nth-child(3) { width: 20%; }
.overview thead th:nth-child(1) { width: 32%; }
.overview thead th:nth-child(2) { width: 33%; }
.overview thead th:nth-child(4) { width: 14%; }
.mark { font-weight: bold; }
td.bad { font-weight: bold; }
td.bad { outline: 2px solid #000; outline-offset: -2px; }
code { font: .9em ui-monospace, "DejaVu Sans Mono", monospace; }
.device { border-top: 1px solid #000; margin-top: 1.2rem; }
.sign { display: grid; grid-template-columns: 1fr 1fr; gap: 1.5rem; break-inside: avoid; }
.sign h3 { margin-top: 0; text-align: center; }
.sign p { margin: 0; display: flex; gap: .4rem; align-items: end; min-height: 2.2rem; }
.sign p::after { content: ""; flex: 1; border-bottom: 1px dotted #000; }
.sign p.tall { min-height: 5.5rem; align-items: start; }
.sign p.tall::after { border: 0; }
.sign p.day { min-height: 1.5rem; justify-content: center; font-style: italic; }
.sign p.day::after { display: none; }
.signature { break-inside: avoid; }
@media screen and (max-width: 40rem) {
  body { padding: .6rem; font-size: 14px; }
  th, td { padding: .2rem .25rem; }
  th.row { width: 6.5rem; }
  .points th small { display: block; margin: 0; }
  .points { font-size: .86em; }
  .points thead th:nth-child(1) { width: 33%; }
  .points thead th:nth-child(2) { width: 19%; }
  .points thead th:nth-child(3) { width: 16%; }
  .points thead th:nth-child(4) { width: 13%; }
  .sign { grid-template-columns: 1fr; }
}
@page { size: A4; margin: 18mm 15mm 20mm 22mm;
  @bottom-left { content: "${footer}"; font: 8pt sans-serif; }
  @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  th, td { padding: .1rem .35rem; }
  a { color: inherit; text-decoration: none; }
}
`;

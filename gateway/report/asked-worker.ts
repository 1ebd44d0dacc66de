import { parentPort, workerData } from "node:worker_threads";
import { signAsBox } from "../box-key.ts";
import type { AskedSignature, SignedOrNot } from "./asked.ts";
import { type Report, reportSchema } from "./report.ts";
import { pageOf } from "./page.ts";
import { openPage, partsOf, signPage, signReport } from "./signing.ts";

/** The thread that looks at a report before it is signed. Digest and page are made here, never taken from who asks. */

/** How far the moment of a report may lie from now: one is signed as soon as it is made. */
const ageMsMax = 10 * 60_000;

/** Why a report is not this gateway's own of now; undefined: it is. */
function objection(report: Report, { gateway, city, devices }: AskedSignature): string | undefined {
  const { site, made, box, parts } = report;
  if (site.gateway !== gateway || site.city !== city)
    return `it is about "${site.gateway}" of "${site.city}", this is "${gateway}" of "${city}"`;
  if (Math.abs(Date.parse(made.at) - Date.now()) > ageMsMax) return `it was made at ${made.at}, not now`;
  if (box.via !== "gateway") return "it was made without the gateway that is asked to sign it";
  const own = new Set(devices);
  const strange = report.devices.find(({ id }) => !own.delete(id));
  if (strange !== undefined) return `"${strange.id}" is no device of this gateway, or stands in it twice`;
  if (own.size > 0) return `these devices are missing: ${[...own].slice(0, 5).join(", ")}`;
  const now = partsOf(report);
  const isWhole =
    Object.keys(now).length === Object.keys(parts).length &&
    Object.entries(now).every(([name, digest]) => parts[name] === digest);
  return isWhole ? undefined : "its parts are not what it says they are";
}

async function answer(asked: AskedSignature): Promise<SignedOrNot> {
  let value: unknown;
  try {
    value = JSON.parse(asked.report);
  } catch {
    return { refused: "it is no JSON" };
  }
  if (!reportSchema.safeParse(value).success)
    return { refused: "it is no commissioning report of this kerb" };
  // As it came: the page shows its members in their order.
  const report = value as Report;
  const refused = objection(report, asked);
  if (refused !== undefined) return { refused };
  const { stateFolder, page } = asked;
  const sign = (signed: Parameters<typeof signAsBox>[1]) => signAsBox(stateFolder, signed);
  const signed = await signReport(report, sign);
  const { publicKey, signature } = signed;
  if (publicKey === null || signature === null) return { refused: "there is no key" };
  if (page === undefined) return { signature: { publicKey, signature } };
  const { signature: ofPage = "" } = openPage(await signPage(pageOf(signed, page), sign));
  return { signature: { publicKey, signature: ofPage } };
}

parentPort?.postMessage(await answer(workerData as AskedSignature), []);

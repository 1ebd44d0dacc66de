/** Versions of RSMP and of the SXL, as they stand in Version messages: "3.2.2"; "3.2" is the same as "3.2.0". */

function parts(version: string): number[] {
  const numbers = version.split(".").map(Number);
  return [numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 0];
}

/** Negative when `a` is older than `b`, 0 when they are the same. */
function compareVersions(a: string, b: string): number {
  const [left, right] = [parts(a), parts(b)];
  const at = left.findIndex((part, i) => part !== right[i]);
  return at < 0 ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
}

export const atLeast = (version: string, other: string): boolean => compareVersions(version, other) >= 0;

const sameVersion = (a: string, b: string): boolean => compareVersions(a, b) === 0;

/** What the site's Version message was found to agree on; `rea` says why it did not. */
export type Agreement =
  | { version: string; sxl: string; offered: string[]; rea?: undefined }
  | { rea: string };

/**
 * The newest RSMP version that both speak, and the site's SXL (RSMP 3.2.2, 4.3.3 and 4.3.5). `offered` are kerb's
 * versions, spelt as the site spells them, since a site may compare texts.
 */
export function agree(
  theirs: readonly string[],
  theirSxl: string,
  ours: { versions: readonly string[]; sxl?: readonly string[] | undefined },
): Agreement {
  const offered = ours.versions.map((own) => theirs.find((one) => sameVersion(one, own)) ?? own);
  const [version] = ours.versions
    .filter((own) => theirs.some((one) => sameVersion(one, own)))
    .toSorted(compareVersions)
    .toReversed();
  if (version === undefined)
    return {
      rea: `RSMP versions [${theirs.join(",")}] requested, but only [${ours.versions.join(",")}] supported`,
    };
  if (ours.sxl !== undefined && !ours.sxl.some((one) => sameVersion(one, theirSxl)))
    return { rea: `SXL version ${theirSxl} requested, but only [${ours.sxl.join(",")}] supported` };
  return { version, sxl: theirSxl, offered };
}

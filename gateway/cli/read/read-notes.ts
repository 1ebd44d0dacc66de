import type { Language } from "../../config/error-texts.ts";
import { type Talker, unheardOf } from "../../field/listen.ts";
import type { LatestReading } from "../../host/messages.ts";
import { span } from "../../text.ts";
import { readWords } from "./read-words.ts";

/** What `kerb read` says of values that did not come, or came without their bytes. */

const namesMax = 20;

/** What was not heard, and how long the device may be silent; undefined when all was. */
export function unheardNote(
  talker: Talker,
  readings: readonly LatestReading[],
  waitMs: number,
  language: Language,
): string | undefined {
  const text = readWords[language];
  const points = unheardOf(readings);
  const more = points.length > namesMax ? ` +${points.length - namesMax}` : "";
  const isRecordless =
    talker.tellsRecords && talker.records.length === 0 && (points.length > 0 || readings.length === 0);
  const what = [points.slice(0, namesMax).join(", ") + more, isRecordless ? text.anyRecord : ""].filter(
    (part) => part !== "",
  );
  if (what.length === 0) return undefined;
  const silence = talker.silenceMs > 0 ? text.silence(span(talker.silenceMs)) : text.noSilence;
  return text.unheard(span(waitMs), what.join("; "), silence);
}

/** For `--raw`: which values came without their bytes; undefined: none. */
export function rawNote(readings: readonly LatestReading[], language: Language): string | undefined {
  const bare = readings.filter(
    ({ rawHex, unheard, value }) => rawHex === undefined && unheard !== true && value !== null,
  );
  if (bare.length === 0) return undefined;
  const names = bare
    .slice(0, namesMax)
    .map(({ point }) => point)
    .join(", ");
  return readWords[language].bare(names);
}

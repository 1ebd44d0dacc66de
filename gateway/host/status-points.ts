import type { Answer } from "../driver.ts";
import { quality } from "../event.ts";
import type { HostPoint } from "./messages.ts";
import type { Normaliser } from "./normalise.ts";

/** Where the points with `status` are; equal devices share their lists of points. */
const known = new WeakMap<readonly HostPoint[], readonly number[]>();

function positionsOf(points: readonly HostPoint[]): readonly number[] {
  let positions = known.get(points);
  if (positions === undefined) {
    positions = points.flatMap(({ status }, i) => (status === true ? [i] : []));
    known.set(points, positions);
  }
  return positions;
}

/** Points that say how a device is (`status` in its profile): what they say first, and each change, is news. */
export class StatusPoints {
  readonly #told = new Map<string, { value: unknown; code: string | undefined }>();

  /** The data of the `device-status` events that these answers are worth; `pushed`: only these positions came. */
  news(
    normaliser: Normaliser,
    answers: readonly Answer[],
    pushed?: readonly number[],
  ): Record<string, unknown>[] {
    const { points } = normaliser;
    const told = pushed === undefined ? undefined : normaliser.told(pushed);
    return positionsOf(points).flatMap((i) => {
      const name = points[i]?.name ?? "";
      if (told?.includes(i) === false) return [];
      const { value, quality: bits, detail } = normaliser.single(i, answers);
      const before = this.#told.get(name);
      // Why there is no value belongs to the state; the words of a refusal may differ from one to the next.
      if (before !== undefined && before.value === value && before.code === detail?.code) return [];
      this.#told.set(name, { value, code: detail?.code });
      const status = (bits & quality.bad) !== 0 ? "bad" : "uncertain";
      return [
        {
          report: "point",
          point: name,
          value,
          ...(before === undefined ? {} : { before: before.value }),
          ...(bits === 0 ? {} : { quality: { status, ...detail } }),
        },
      ];
    });
  }
}

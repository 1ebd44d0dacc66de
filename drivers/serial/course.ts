import { answerOf, type Told } from "./frame.ts";

/** Frames of so many kinds and stations are remembered; the one that has been quiet longest is forgotten first. */
const coursesMax = 4096;

/**
 * What one station has told in frames of one kind. It outlasts the connection: what a reconnect has cost must show.
 */
export class Course {
  #last: { number: number; timeMs: number | undefined } | undefined;
  #standing: Told | undefined;

  /**
   * How many numbers were left out before this frame: undefined = that cannot be known, "repeated" = it is the very
   * one that was told last.
   */
  missedBefore({ frame, part, timeMs }: Told): number | "repeated" | undefined {
    const text = frame.sequence === undefined ? "" : (part(frame.sequence)?.trim() ?? "");
    const number = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(number)) return undefined;
    const last = this.#last;
    this.#last = { number, timeMs };
    if (last === undefined) return undefined;
    if (number > last.number) return number - last.number - 1;
    // An instrument that has started anew gives the same number to another vehicle, at another time.
    return number === last.number && timeMs === last.timeMs ? "repeated" : undefined;
  }

  /** The frame to be told now, if any: of a weighing the one that stood still last, when the scale is empty again. */
  settled(told: Told): Told | undefined {
    const { settled } = told.frame;
    if (settled === undefined) return told;
    const value = valueOf(told, settled.field);
    if (typeof value !== "number") return undefined;
    if (value < settled.below) {
      const weighed = this.#standing;
      this.#standing = undefined;
      return weighed;
    }
    if (value >= settled.above && valueOf(told, settled.stable.field) === settled.stable.is)
      this.#standing = told;
    return undefined;
  }
}

function valueOf(told: Told, field: string): unknown {
  const answer = answerOf(told, undefined, field, false);
  return typeof answer === "object" ? answer.value : answer;
}

const courses = new Map<string, Course>();

/** The course of the frames of one kind: `whose` names device, line and station. */
export function courseOf(whose: string, frame: string): Course {
  const key = `${whose}\0${frame}`;
  const course = courses.get(key) ?? new Course();
  courses.delete(key);
  courses.set(key, course);
  const [oldest] = courses.keys();
  if (courses.size > coursesMax && oldest !== undefined) courses.delete(oldest);
  return course;
}

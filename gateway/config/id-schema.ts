import { z } from "zod";

/** An id or a part of a topic: so many small letters, digits and hyphens. */
export function word(least: number, most: number) {
  return z.string().regex(new RegExp(`^[a-z0-9-]{${least},${most}}$`), {
    error: `expected ${least} to ${most} small letters, digits or "-"`,
  });
}

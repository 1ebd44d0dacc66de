import { userInfo } from "node:os";

/** Who sits at this terminal, as the record of what was done names him. */
export function user(): string {
  return process.env["SUDO_USER"] ?? userInfo().username;
}

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Gives back to the system what starting up has left behind, some tens of megabytes: a heap that is hardly used
 * afterwards is not compacted by itself. Takes up to 50 ms, so it is for the moment when everything has started.
 */
export function shrinkHeap(): void {
  // Left on: the flag belongs to the process, and another thread may be between these two lines.
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as (options: object) => void;
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
}

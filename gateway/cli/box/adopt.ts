import { existsSync } from "node:fs";
import { join } from "node:path";
import { adoptQueue, isSalvaging } from "../../backup/adopt.ts";
import { loadSite } from "../../config/config.ts";
import { exitCodes, shownFile } from "../../errors.ts";
import { sentence } from "../../outbox/faults.ts";
import { ownerOf } from "../../outbox/owner.ts";
import { agreed } from "../agreed.ts";
import { type Box, type BoxOptions, findBox, isRunning, openStill, runsError } from "./box.ts";
import { boxWords } from "./box-words.ts";
import { CommandError } from "../errors.ts";
import { hint, printData, printLines } from "../output.ts";
import { grouped } from "../../text.ts";

export interface AdoptOptions extends BoxOptions {
  yes?: boolean;
}

/** How many undelivered events go aside with the queue. */
function leftIn(queue: string, box: Box): number {
  if (!existsSync(queue)) return 0;
  const still = openStill(box);
  try {
    const { rows } = still.figures();
    return rows.event + rows.live;
  } finally {
    still.close();
  }
}

/** `kerb buffer adopt`: the state folder of a box that is renamed becomes that of the site file's gateway. */
export async function bufferAdopt(options: AdoptOptions): Promise<number> {
  const box = findBox(options);
  const { language } = box;
  const words = boxWords[language].adopt;
  const { gateway, outbox } = await loadSite(box.site ?? "");
  if (await isRunning(box)) throw runsError(box);
  const queue = join(gateway.stateFolder, "outbox.db");
  const owner = ownerOf(queue);
  if (owner === undefined || owner === gateway.id) {
    const data = { gateway: gateway.id, former: null, left: 0, folder: null };
    if (options.json === true) printData("buffer-adopt", data);
    else printLines([words.own(gateway.id)]);
    return exitCodes.ok;
  }
  const refuse = (title: string) => {
    const about = { exitCode: exitCodes.notAllowed, title, hint: words.mendCure(owner), language };
    return new CommandError({ code: "KERB-OUT-OWNER", ...about });
  };
  if (isSalvaging(queue)) throw refuse(words.damaged(owner));
  hint(words.will(owner, gateway.id, grouped(leftIn(queue, box))));
  if (!(await agreed(options, words.saidNo, language))) {
    hint(words.saidNo);
    return exitCodes.interrupted;
  }
  let adopted: ReturnType<typeof adoptQueue>;
  try {
    adopted = adoptQueue({ queue, bytesMax: outbox.bytesMax, owner, gateway: gateway.id });
  } catch (error) {
    throw refuse(words.failed(sentence(error)));
  }
  if (options.json === true) printData("buffer-adopt", adopted);
  else printLines(words.done(gateway.id, grouped(adopted.left), shownFile(adopted.folder)));
  return exitCodes.ok;
}

import { DeviceError, type Driver } from "../../gateway/driver.ts";
import { Camera, lostBy } from "./camera.ts";
import { OnvifConnection } from "./connection.ts";
import type { Address, Settings } from "./settings.ts";

/** ONVIF cameras: what they tell and how they are; no video and, unless a rule asks for one, no picture. */
export const driver: Driver<Settings, Address> = {
  name: "onvif",

  async connect(settings, _context, signal) {
    const camera = new Camera(settings);
    if (signal.aborted) throw new DeviceError("aborted", `${camera.place}: given up`);
    try {
      // The one question that every camera answers without a login; the login needs its answer.
      await camera.measureClock(signal);
    } catch (error) {
      throw lostBy(error, camera.place, "GetSystemDateAndTime");
    }
    return new OnvifConnection(camera);
  },

  describe({ reading, topic, item, part, source, token }) {
    if (reading !== undefined) return [reading, item, token].filter((one) => one !== undefined).join(" ");
    const where = Object.entries(source ?? {}).map(([name, value]) => `${name}=${value}`);
    const value = item === undefined ? [] : [part === undefined ? item : `${part}.${item}`];
    return [topic, ...where, ...value].filter((one) => one !== undefined).join(" ");
  },
};

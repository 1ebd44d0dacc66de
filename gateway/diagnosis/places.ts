import type { DevicePlace, Facts } from "../driver.ts";

/** A text that is the same for all devices of one place. */
export function placeKey(place: DevicePlace): string {
  return place.over === "serial" ? place.path : `${place.over} ${place.host}:${place.port}`;
}

/** "10.0.0.7:502", "/dev/ttyS1". */
export function placeText(place: DevicePlace): string {
  if (place.over === "serial") return place.path;
  return place.host.includes(":") ? `[${place.host}]:${place.port}` : `${place.host}:${place.port}`;
}

/** What the rules can see of a place. */
export function placeFacts(place: DevicePlace): Facts {
  return {
    place: placeText(place),
    over: place.over,
    ...(place.unit === undefined ? {} : { unit: place.unit }),
    ...(place.over === "serial" ? { "line.settings": place.line } : {}),
  };
}

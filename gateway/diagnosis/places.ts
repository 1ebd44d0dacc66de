import type { DevicePlace } from "../driver.ts";

/** A text that is the same for all devices of one place. */
export function placeKey(place: DevicePlace): string {
  return place.over === "serial" ? place.path : `${place.over} ${place.host}:${place.port}`;
}

/** "10.0.0.7:502", "/dev/ttyS1". */
export function placeText(place: DevicePlace): string {
  if (place.over === "serial") return place.path;
  return place.host.includes(":") ? `[${place.host}]:${place.port}` : `${place.host}:${place.port}`;
}

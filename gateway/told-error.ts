import { DeviceError, type DeviceErrorCode } from "./driver.ts";

/** An error on its way to another process. `code`: it is the device that has failed, and how. */
export interface ToldError {
  error: string;
  code?: DeviceErrorCode;
}

export function toldError(error: Error): ToldError {
  const { message } = error;
  return error instanceof DeviceError ? { error: message, code: error.code } : { error: message };
}

/** The error as it was: a `DeviceError` where the device has failed. */
export function heardError({ error, code }: ToldError): Error {
  return code === undefined ? new Error(error) : new DeviceError(code, error);
}

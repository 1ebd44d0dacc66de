export type Library = typeof import("node-opcua");

const silent = (): void => {};
let loaded: Promise<Library> | undefined;

/** node-opcua's server, which only development has. Rejects with one sentence where it is not installed. */
export function loadLibrary(): Promise<Library> {
  loaded ??= import("node-opcua").then(
    (library) => {
      library.setDebugLogger(silent);
      library.setWarningLogger(silent);
      library.setErrorLogger(silent);
      return library;
    },
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
      throw new Error(
        'the OPC UA simulator needs the package "node-opcua", which an install without development packages leaves out: run "npm ci --include=dev"',
        { cause: error },
      );
    },
  );
  return loaded;
}

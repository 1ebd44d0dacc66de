// Plain JavaScript, so that a Node that is too old gets a sentence instead of a syntax error or a crash.
const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  process.stderr.write(
    `kerb needs Node 24 or newer; this is ${process.version}.\n` +
      "Run `npm ci` in the project folder: it installs the pinned runtime, which gateway/kerb then uses.\n",
  );
  process.exit(78);
}
await import("./main.ts");

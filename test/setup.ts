// A bare `node_modules/.bin/vitest` would use the system's Node, on which better-sqlite3 crashes without a word.
const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  throw new Error(
    `kerb's tests need Node 24 or newer, this is ${process.version}: run them with "npm test", which uses the pinned runtime`,
  );
}

/** Version of the receiver's database; an older receiver refuses a newer one. */
export const schemaVersion = 2;

/**
 * `batch` holds messages as they came. `first`, `last` and `take` (JSON ranges, null = all) say which of its events
 * a row contributes: no event is contributed twice, so (gw, ep, first) is unique. `loss` keeps what was declared
 * lost and is not stored. `seal` keeps what gateways say, and beside it what a check of the stored events found.
 * Times are ms since 1970 UTC. An older receiver leaves the tables of the view alone and they catch up afterwards,
 * so they need no new version.
 */
export const schema = `
CREATE TABLE IF NOT EXISTS batch (
  id INTEGER PRIMARY KEY,
  gw TEXT NOT NULL,
  ep INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  lane TEXT NOT NULL,
  dict TEXT,
  received_ms INTEGER NOT NULL,
  take TEXT,
  body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS batch_order ON batch (gw, ep, first);
CREATE TABLE IF NOT EXISTS ledger (
  gw TEXT NOT NULL,
  ep INTEGER NOT NULL,
  top INTEGER NOT NULL,
  holes TEXT NOT NULL,
  last INTEGER,
  span INTEGER NOT NULL,
  closed_ms INTEGER,
  PRIMARY KEY (gw, ep)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS loss (
  gw TEXT NOT NULL,
  ep INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (gw, ep, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dictionary (
  gw TEXT NOT NULL,
  hash TEXT NOT NULL,
  received_ms INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (gw, hash)
) STRICT;
CREATE TABLE IF NOT EXISTS gateway (
  gw TEXT PRIMARY KEY,
  online INTEGER,
  session INTEGER,
  epoch INTEGER,
  birth_ms INTEGER,
  events INTEGER NOT NULL,
  duplicates INTEGER NOT NULL,
  duplicate_events INTEGER NOT NULL,
  rejected INTEGER NOT NULL,
  received_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS birth (
  gw TEXT PRIMARY KEY,
  received_ms INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS seal (
  gw TEXT NOT NULL,
  ep INTEGER NOT NULL,
  no INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  from_ms INTEGER NOT NULL,
  to_ms INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  body TEXT NOT NULL,
  ok INTEGER,                     -- null: not held against the stored events yet
  checked TEXT,
  PRIMARY KEY (gw, ep, no)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seal_time ON seal (gw, from_ms);
CREATE INDEX IF NOT EXISTS seal_open ON seal (gw, ep) WHERE ok IS NOT 1;
CREATE TABLE IF NOT EXISTS polls (
  gw TEXT NOT NULL,
  from_ms INTEGER NOT NULL,
  to_ms INTEGER NOT NULL,
  device TEXT NOT NULL,
  polls INTEGER NOT NULL,
  answered INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  missed INTEGER NOT NULL,
  PRIMARY KEY (gw, from_ms, device, to_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS box_off (
  gw TEXT NOT NULL,
  from_ms INTEGER NOT NULL,
  to_ms INTEGER NOT NULL,
  PRIMARY KEY (gw, from_ms, to_ms)
) STRICT, WITHOUT ROWID;
-- Clocks that were set to a right time, for each epoch of that boot: wall and monotonic time of the moment.
CREATE TABLE IF NOT EXISTS clock_set (
  gw TEXT NOT NULL,
  ep INTEGER NOT NULL,
  mono INTEGER NOT NULL,
  wall INTEGER NOT NULL,
  proved INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  PRIMARY KEY (gw, ep, mono)
) STRICT, WITHOUT ROWID;
-- The view: the newest of each device (JSON), the last batch in it, and batches that wait for their dictionary.
CREATE TABLE IF NOT EXISTS latest (
  gw TEXT NOT NULL,
  device TEXT NOT NULL,
  class TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (gw, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS latest_class ON latest (class, gw, device);
CREATE TABLE IF NOT EXISTS latest_cursor (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  batch INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS latest_waiting (
  batch INTEGER PRIMARY KEY,
  gw TEXT NOT NULL
) STRICT;
-- The commands that gateways have told of, with their states (JSON); of the view as well.
CREATE TABLE IF NOT EXISTS command (
  gw TEXT NOT NULL,
  id TEXT NOT NULL,
  device TEXT NOT NULL,
  received_ms INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (gw, id)
) STRICT;
CREATE INDEX IF NOT EXISTS command_id ON command (id);
-- What gateways have of their twins, the newest of each (JSON); of the view as well.
CREATE TABLE IF NOT EXISTS twin (
  gw TEXT PRIMARY KEY,
  received_ms INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rejected (
  gw TEXT NOT NULL,
  slot INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  lane TEXT NOT NULL,
  reason TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (gw, slot)
) STRICT;
`;

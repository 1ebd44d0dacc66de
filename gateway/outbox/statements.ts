import type Database from "better-sqlite3";

/**
 * The queue's statements, prepared once for its only connection. A limit is an expression: SQLite looks at the value
 * of a bare parameter there to plan, and would prepare the statement anew at each call.
 */
export function prepare(database: Database.Database) {
  const row = "id, lane, recorded AS recordedMs, crc, body";
  return {
    newest: database.prepare(
      "SELECT max(id) AS id FROM (SELECT max(last_id) AS id FROM account UNION ALL SELECT max(id) FROM event UNION ALL SELECT max(base) FROM epoch)",
    ),
    pruneDictionaries: database.prepare(
      "DELETE FROM dictionary WHERE hash <> ? AND hash NOT IN (SELECT dictionary FROM cut)",
    ),
    addEpoch: database.prepare("INSERT INTO epoch VALUES (?, ?, ?, ?, ?)"),
    epochs: database.prepare("SELECT epoch, base, boot FROM epoch ORDER BY base, epoch"),
    insert: database.prepare("INSERT INTO event (id, lane, recorded, crc, body) VALUES (?, ?, ?, ?, ?)"),
    rows: database.prepare(
      `SELECT ${row} FROM event WHERE id BETWEEN ? AND ? AND lane = 1 ORDER BY id LIMIT ? + 0`,
    ),
    urgentRows: database.prepare(
      `SELECT ${row} FROM event WHERE id BETWEEN ? AND ? AND lane = 0 ORDER BY id LIMIT ? + 0`,
    ),
    newer: database.prepare(`SELECT ${row} FROM event WHERE id > ? ORDER BY id LIMIT ? + 0`),
    salvages: database.prepare("SELECT file, last, readable FROM salvage ORDER BY file"),
    first: database.prepare("SELECT id FROM event WHERE id >= ? AND lane = 1 ORDER BY id LIMIT 1"),
    urgentFirst: database.prepare("SELECT id FROM event WHERE id >= ? AND lane = 0 ORDER BY id LIMIT 1"),
    oldest: database.prepare(
      "SELECT id, lane, recorded AS recordedMs, substr(body, 1, 32) AS body FROM event WHERE lane = ? ORDER BY id LIMIT ? + 0",
    ),
    oldestRow: database.prepare("SELECT recorded FROM event ORDER BY id LIMIT 1"),
    count: database.prepare("SELECT count(*) AS rows FROM event"),
    remove: database.prepare("DELETE FROM event WHERE id = ?"),
    removeRange: database.prepare("DELETE FROM event WHERE id BETWEEN ? AND ?"),
    anyRows: database.prepare(`SELECT ${row} FROM event WHERE id > ? ORDER BY id LIMIT ? + 0`),
    releasable: database.prepare(
      "SELECT id, lane, substr(body, 1, 12) AS body FROM event WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ? + 0",
    ),
    rowIds: database.prepare("SELECT id FROM event WHERE id BETWEEN ? AND ? ORDER BY id").pluck(),
    forgetIndexes: database.prepare("DELETE FROM sqlite_sequence WHERE name IN ('device', 'point')"),
    startIndexes: database.prepare("INSERT INTO sqlite_sequence VALUES ('device', ?), ('point', ?)"),
    addDevice: database.prepare("INSERT OR IGNORE INTO device (id, type, profile) VALUES (?, ?, ?)"),
    deviceIndex: database.prepare("SELECT idx FROM device WHERE id = ? AND type = ? AND profile = ?"),
    devices: database.prepare('SELECT idx AS "index", id, type, profile FROM device ORDER BY idx'),
    addPoint: database.prepare(
      "INSERT OR IGNORE INTO point (device, name, unit, kind, decimals) VALUES (?, ?, ?, ?, ?)",
    ),
    pointIndex: database.prepare(
      "SELECT idx FROM point WHERE device = ? AND name = ? AND unit = ? AND kind = ? AND decimals = ?",
    ),
    points: database.prepare(
      'SELECT idx AS "index", device, name, unit, kind, decimals FROM point ORDER BY idx',
    ),
    addDictionary: database.prepare("INSERT OR IGNORE INTO dictionary VALUES (?, ?)"),
    dictionary: database.prepare("SELECT json FROM dictionary WHERE hash = ?"),
    addCut: database.prepare("INSERT OR REPLACE INTO cut VALUES (?, ?, ?, ?, ?, ?, ?)"),
    removeCut: database.prepare("DELETE FROM cut WHERE uplink = ? AND row_lane = ? AND first = ?"),
    removeCuts: database.prepare("DELETE FROM cut WHERE last <= ? AND first > ?"),
    cuts: database.prepare(
      "SELECT row_lane AS rowLane, first, last, lane, dictionary, fix FROM cut WHERE uplink = ? ORDER BY first",
    ),
    fixOf: database
      .prepare(
        "SELECT fix FROM cut WHERE uplink = ? AND row_lane = ? AND first <= ? AND last >= ? ORDER BY first DESC LIMIT 1",
      )
      .pluck(),
    bumpSession: database.prepare(
      "INSERT INTO uplink VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET session = max(session, ?) + 1",
    ),
    session: database.prepare("SELECT session FROM uplink WHERE name = ?"),
  };
}

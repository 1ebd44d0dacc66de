import type Database from "better-sqlite3";

/** The queue's statements, prepared once for its only connection. */
export function prepare(database: Database.Database) {
  const row = "id, lane, recorded AS recordedMs, crc, body";
  return {
    sequence: database.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'event'"),
    lastEpoch: database.prepare("SELECT max(epoch) AS epoch FROM epoch"),
    removeEpoch: database.prepare("DELETE FROM epoch WHERE epoch = ?"),
    removeReleased: database.prepare("DELETE FROM released WHERE epoch = ?"),
    pruneDictionaries: database.prepare(
      "DELETE FROM dictionary WHERE hash <> ? AND hash NOT IN (SELECT dictionary FROM cut)",
    ),
    addEpoch: database.prepare("INSERT INTO epoch VALUES (?, ?, ?, ?, ?)"),
    epochs: database.prepare("SELECT epoch, base FROM epoch ORDER BY base, epoch"),
    insert: database.prepare("INSERT INTO event (id, lane, recorded, crc, body) VALUES (?, ?, ?, ?, ?)"),
    rows: database.prepare(
      `SELECT ${row} FROM event WHERE id BETWEEN ? AND ? AND lane = 1 ORDER BY id LIMIT ?`,
    ),
    urgentRows: database.prepare(
      `SELECT ${row} FROM event WHERE id BETWEEN ? AND ? AND lane = 0 ORDER BY id LIMIT ?`,
    ),
    first: database.prepare("SELECT id FROM event WHERE id >= ? AND lane = 1 ORDER BY id LIMIT 1"),
    urgentFirst: database.prepare("SELECT id FROM event WHERE id >= ? AND lane = 0 ORDER BY id LIMIT 1"),
    oldest: database.prepare(
      "SELECT id, lane, recorded AS recordedMs FROM event WHERE lane = ? ORDER BY id LIMIT ?",
    ),
    oldestRow: database.prepare("SELECT recorded FROM event ORDER BY id LIMIT 1"),
    minId: database.prepare("SELECT min(id) AS id FROM event"),
    count: database.prepare("SELECT count(*) AS rows FROM event"),
    remove: database.prepare("DELETE FROM event WHERE id = ?"),
    removeRange: database.prepare("DELETE FROM event WHERE id BETWEEN ? AND ?"),
    releasable: database.prepare("SELECT id, lane FROM event WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"),
    accept: database.prepare("UPDATE books SET accepted = accepted + ? WHERE lane = ?"),
    bookDelivered: database.prepare("UPDATE books SET delivered = delivered + ? WHERE lane = ?"),
    bookDropped: database.prepare("UPDATE books SET dropped = dropped + ? WHERE lane = ?"),
    books: database.prepare("SELECT * FROM books"),
    growTombstone: database.prepare(
      "UPDATE tombstone SET last = ?, to_ms = ? WHERE epoch = ? AND last = ? AND reason = ? AND reported = 0",
    ),
    addTombstone: database.prepare("INSERT INTO tombstone VALUES (?, ?, ?, ?, ?, ?, 0)"),
    unreported: database.prepare(
      "SELECT * FROM tombstone WHERE reported = 0 ORDER BY epoch, first LIMIT 100",
    ),
    reportAgain: database.prepare("UPDATE tombstone SET reported = 0"),
    markReported: database.prepare(
      "UPDATE tombstone SET reported = 1 WHERE epoch = ? AND first = ? AND last = ?",
    ),
    removeTombstones: database.prepare(
      "DELETE FROM tombstone WHERE epoch = ? AND last <= ? AND reported = 1",
    ),
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
    addCut: database.prepare("INSERT OR REPLACE INTO cut VALUES (?, ?, ?, ?, ?, ?)"),
    removeCut: database.prepare("DELETE FROM cut WHERE uplink = ? AND row_lane = ? AND first = ?"),
    removeCuts: database.prepare("DELETE FROM cut WHERE last <= ? AND first > ?"),
    cuts: database.prepare(
      "SELECT row_lane AS rowLane, first, last, lane, dictionary FROM cut WHERE uplink = ? ORDER BY first",
    ),
    bumpSession: database.prepare(
      "INSERT INTO uplink VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET session = session + 1",
    ),
    session: database.prepare("SELECT session FROM uplink WHERE name = ?"),
    setReleased: database.prepare(
      "INSERT INTO released VALUES (?, ?, ?) ON CONFLICT (uplink, epoch) DO UPDATE SET watermark = max(watermark, excluded.watermark)",
    ),
  };
}

import Database from 'better-sqlite3';

/** "TrbB": in the header of the file, so that no other program's database is taken for a buffer. */
export const APPLICATION_ID = 0x54726242;

/**
 * The step from each version to the next. Only ever add to the end: a device may come from any of them. A step that
 * changes rows that have a checksum leaves it to `restamp`.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch BLOB NOT NULL,
    highest_sequence INTEGER NOT NULL,
    readings_produced INTEGER NOT NULL,
    items_stored INTEGER NOT NULL,
    readings_stored INTEGER NOT NULL,
    bytes_stored INTEGER NOT NULL,
    readings_evicted INTEGER NOT NULL,
    items_quarantined INTEGER NOT NULL,
    alert_cursor INTEGER NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE items (
    sequence INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    readings_before INTEGER NOT NULL,
    body BLOB NOT NULL
  ) STRICT;
  CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    unit TEXT NOT NULL,
    labels TEXT NOT NULL,
    type INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE segments (
    id INTEGER PRIMARY KEY,
    boot_id TEXT NOT NULL,
    offset_us INTEGER NOT NULL,
    observed_at_us INTEGER NOT NULL,
    uncertainty_us INTEGER NOT NULL,
    state INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    epoch BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    readings_before INTEGER NOT NULL,
    body BLOB NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL
  ) STRICT;
  CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    incident_id BLOB NOT NULL,
    state INTEGER NOT NULL,
    number INTEGER NOT NULL,
    UNIQUE (incident_id, state)
  ) STRICT;
  `,
  `
  ALTER TABLE items ADD COLUMN protected INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE series ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE segments ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE anchors (
    id INTEGER PRIMARY KEY,
    segment INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    offset_us INTEGER NOT NULL,
    uncertainty_us INTEGER NOT NULL,
    state INTEGER NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE state_2 (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch BLOB NOT NULL,
    highest_sequence INTEGER NOT NULL,
    readings_produced INTEGER NOT NULL,
    items_stored INTEGER NOT NULL,
    readings_stored INTEGER NOT NULL,
    bytes_stored INTEGER NOT NULL,
    readings_evicted INTEGER NOT NULL,
    readings_thinned INTEGER NOT NULL,
    items_quarantined INTEGER NOT NULL,
    alert_cursor INTEGER NOT NULL,
    reserved_sequence INTEGER NOT NULL,
    reserved_readings INTEGER NOT NULL,
    crash_bound INTEGER NOT NULL,
    sending INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    suspect INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    line_us INTEGER NOT NULL,
    in_doubt BLOB NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
  INSERT INTO state_2 SELECT 1, epoch, highest_sequence, readings_produced, items_stored, readings_stored, bytes_stored,
    readings_evicted, 0, items_quarantined, alert_cursor, 0, 0, 0, 1, 0, 0, 0, 0, x'', checksum FROM state;
  DROP TABLE state;
  ALTER TABLE state_2 RENAME TO state;
  `,
  `
  CREATE TABLE intents (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL,
    action TEXT NOT NULL,
    standing INTEGER NOT NULL,
    reason TEXT NOT NULL,
    body BLOB NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE statuses (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    incidents BLOB NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE rule_notes (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
  `,
];

const COLUMNS = `SELECT tables.name, columns.name, columns.type, "notnull", pk FROM sqlite_schema AS tables
  JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table' ORDER BY 1, cid`;

let expected: ReadonlyMap<string, string> | undefined;

/** Whether a database has every table of this version, with its columns. */
export function hasTables(db: Database.Database): boolean {
  if (expected === undefined) {
    const fresh = new Database(':memory:');
    for (const migration of MIGRATIONS) fresh.exec(migration);
    expected = columnsOf(fresh);
    fresh.close();
  }
  const columns = columnsOf(db);
  return [...expected].every(([table, of]) => columns.get(table) === of);
}

/** Of each table, by name. */
function columnsOf(db: Database.Database): Map<string, string> {
  const columns = new Map<string, string>();
  for (const [table, ...column] of db.prepare(COLUMNS).raw().all() as [string, ...unknown[]][]) {
    columns.set(table, `${columns.get(table) ?? ''}${JSON.stringify(column)}`);
  }
  return columns;
}

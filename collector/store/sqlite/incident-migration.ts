import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';

/*
 * Incidents, what happened to them, silences, and notifications that are on their way. What the alerts of earlier versions
 * tell becomes incidents. Those versions kept one transition for each incident, state and `late`; corrections need more of
 * the late ones, so the alerts move to a table without that limit.
 */
export const INCIDENT_MIGRATION = `
ALTER TABLE alerts RENAME TO alerts_before;
CREATE TABLE alerts (
  alert_id INTEGER PRIMARY KEY,
  device_id INTEGER NOT NULL,
  number INTEGER NOT NULL,
  series_id INTEGER NOT NULL,
  incident_id BLOB NOT NULL,
  state INTEGER NOT NULL,
  rule TEXT NOT NULL,
  severity TEXT NOT NULL,
  started_at_us REAL NOT NULL,
  transition_at_us REAL NOT NULL,
  late INTEGER NOT NULL,
  retracted INTEGER NOT NULL,
  position INTEGER NOT NULL,
  message BLOB NOT NULL
) STRICT;
INSERT INTO alerts SELECT alert_id, device_id, number, series_id, incident_id, state, rule, severity, started_at_us,
  transition_at_us, late, 0, 0, message FROM alerts_before;
DROP TABLE alerts_before;
CREATE UNIQUE INDEX alerts_by_number ON alerts (device_id, number) WHERE number > 0;
CREATE UNIQUE INDEX alerts_once ON alerts (device_id, incident_id, state) WHERE late = 0;
CREATE INDEX alerts_by_incident ON alerts (device_id, incident_id, state);

CREATE TABLE incidents (
  incident_row INTEGER PRIMARY KEY,
  device_id INTEGER NOT NULL,
  incident_id BLOB NOT NULL,
  series_id INTEGER NOT NULL,
  rule TEXT NOT NULL,
  severity TEXT NOT NULL,
  started_at_us REAL NOT NULL,
  fired_at_us REAL NOT NULL,
  resolved_at_us REAL,
  notified INTEGER NOT NULL,
  retracted INTEGER NOT NULL DEFAULT 0,
  acknowledged_by TEXT NOT NULL DEFAULT '',
  acknowledged_at_us REAL NOT NULL DEFAULT 0,
  resolved_by TEXT NOT NULL DEFAULT '',
  position INTEGER NOT NULL DEFAULT 0,
  events INTEGER NOT NULL DEFAULT 0,
  alert_id INTEGER NOT NULL,
  UNIQUE (device_id, incident_id)
) STRICT;
CREATE INDEX incidents_by_id ON incidents (incident_id);
CREATE INDEX incidents_by_device ON incidents (device_id);
CREATE INDEX incidents_by_series ON incidents (device_id, series_id);
CREATE INDEX incidents_open ON incidents (device_id) WHERE resolved_at_us IS NULL;

CREATE TABLE incident_events (
  device_id INTEGER NOT NULL,
  incident_id BLOB NOT NULL,
  event INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  at_us REAL NOT NULL,
  by TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (device_id, incident_id, event)
) STRICT, WITHOUT ROWID;

CREATE TABLE silences (
  silence_id INTEGER PRIMARY KEY AUTOINCREMENT,
  matchers TEXT NOT NULL,
  from_us REAL NOT NULL,
  until_us REAL NOT NULL,
  comment TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at_us REAL NOT NULL
) STRICT;
CREATE INDEX silences_by_end ON silences (until_us);

CREATE TABLE receivers (
  receiver TEXT PRIMARY KEY,
  seen_us REAL NOT NULL,
  length INTEGER NOT NULL DEFAULT 0,
  dropped INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE notifications (
  device_id INTEGER NOT NULL,
  incident_id BLOB NOT NULL,
  receiver TEXT NOT NULL,
  state INTEGER NOT NULL,
  queued_us REAL NOT NULL,
  due_us REAL,
  told INTEGER NOT NULL DEFAULT 0,
  leased INTEGER NOT NULL DEFAULT 0,
  held INTEGER NOT NULL DEFAULT 0,
  claims INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (device_id, incident_id, receiver, state)
) STRICT, WITHOUT ROWID;
CREATE INDEX notifications_due ON notifications (receiver, due_us, queued_us) WHERE due_us IS NOT NULL;
CREATE INDEX notifications_by_age ON notifications (receiver, state, queued_us);
CREATE INDEX notifications_held ON notifications (held) WHERE held = 1;

INSERT INTO incidents (device_id, incident_id, series_id, rule, severity, started_at_us, fired_at_us, resolved_at_us,
    notified, events, alert_id)
  SELECT a.device_id, a.incident_id, a.series_id, a.rule, a.severity, g.started, coalesce(g.fired, g.started),
    (SELECT r.transition_at_us FROM alerts AS r WHERE r.device_id = a.device_id AND r.incident_id = a.incident_id
       AND r.state = ${AlertState.RESOLVED} ORDER BY r.alert_id DESC LIMIT 1),
    g.notified, g.transitions, a.alert_id
  FROM (
    SELECT max(alert_id) AS newest, min(alert_id) AS oldest, min(started_at_us) AS started, max(late = 0) AS notified,
      min(CASE WHEN state = ${AlertState.FIRING} THEN transition_at_us END) AS fired, count(*) AS transitions
    FROM alerts GROUP BY device_id, incident_id
  ) AS g JOIN alerts AS a ON a.alert_id = g.newest
  ORDER BY g.oldest;
INSERT INTO incident_events
  SELECT device_id, incident_id, row_number() OVER (PARTITION BY device_id, incident_id ORDER BY alert_id),
    CASE state WHEN ${AlertState.FIRING} THEN ${IncidentEventKind.FIRED} ELSE ${IncidentEventKind.RESOLVED} END,
    transition_at_us, '', CASE late WHEN 1 THEN 'late' ELSE '' END
  FROM alerts;
`;

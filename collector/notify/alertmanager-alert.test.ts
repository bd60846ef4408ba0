import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { describe, expect, it } from 'vitest';
import { alertOf, STARTED_US } from './alert.fixture.js';
import { postableAlert } from './alertmanager-alert.js';

const times = { startedAtUs: STARTED_US, endsAtUs: STARTED_US + 240_000_000 };

describe('an alert for Alertmanager', () => {
  it('has its name, severity, device, series and labels, and begins with the incident', () => {
    const alert = alertOf();
    expect(postableAlert(alert, alert, 'acme', times, 'https://x.example/{{rule}}')).toEqual({
      labels: {
        alertname: 'hot',
        severity: 'critical',
        tenant: 'acme',
        device: 'pump-1',
        series: 'temperature',
        unit: 'Cel',
        team: 'plant',
        room: 'a',
      },
      annotations: { incident: 'ab'.repeat(16), value: '81.5', summary: 'pump-1 is hot' },
      startsAt: '2026-11-26T12:00:00.000000Z',
      endsAt: '2026-11-26T12:04:00.000000Z',
      generatorURL: 'https://x.example/hot',
    });
  });

  it('has the labels of its beginning at its end, or it would be another one', () => {
    const firing = alertOf({ labels: { reached: '81.5' } });
    const resolved = alertOf({
      state: AlertState.RESOLVED,
      value: 70,
      labels: { reached: '70' },
      annotations: { summary: 'over' },
    });
    const { labels, annotations } = postableAlert(firing, resolved, '', times, undefined);
    expect(labels.reached).toBe('81.5');
    expect(annotations).toMatchObject({ summary: 'over', value: '70' });
  });

  it('has only names that Prometheus takes, and none that hides another', () => {
    const labels = { 'line-no': '1', 'line.no': '2', '7up': '3', __reserved: '4', severity: '5', ü: '6', empty: '' };
    const alert = alertOf({ labels, seriesLabels: { severity: '7', device: '8' } });
    expect(postableAlert(alert, alert, '', times, undefined).labels).toEqual({
      alertname: 'hot',
      severity: 'critical',
      device: 'pump-1',
      series: 'temperature',
      unit: 'Cel',
      line_no: '1',
      exported_line_no: '2',
      label_7up: '3',
      label_reserved: '4',
      exported_severity: '5',
      _: '6',
      exported_exported_severity: '7',
      exported_device: '8',
    });
  });

  it('never ends before it begins, though a clock is ahead', () => {
    const alert = alertOf();
    const ahead = { startedAtUs: STARTED_US + 5_000_000, endsAtUs: STARTED_US };
    const { startsAt, endsAt } = postableAlert(alert, alert, '', ahead, undefined);
    expect(startsAt).toBe(endsAt);
  });
});

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generateJsonSchema } from '@tributary/core/config/json-schema';
import { AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { alertOf } from './alert.fixture.js';
import { webhookBody, webhookBodySchema } from './webhook-body.js';

describe('the body of a webhook', () => {
  it('of an incident that fires says what, where, since when and why', () => {
    expect(webhookBody(alertOf(), 'acme', 'https://x.example/{{device}}?i={{incident}}')).toEqual({
      type: 'incident.firing',
      version: 1,
      timestamp: '2026-11-26T12:01:00.000001Z',
      data: {
        incident: 'ab'.repeat(16),
        state: 'firing',
        rule: 'hot',
        ruleVersion: '0011223344556677',
        severity: 'critical',
        tenant: 'acme',
        device: 'pump-1',
        series: { name: 'temperature', unit: 'Cel', labels: { room: 'a' } },
        value: 81.5,
        startedAt: '2026-11-26T12:00:00.000000Z',
        retracted: false,
        evaluatedBy: 'collector',
        labels: { team: 'plant' },
        annotations: { summary: 'pump-1 is hot' },
        link: `https://x.example/pump-1?i=${'ab'.repeat(16)}`,
      },
    });
  });

  it('keeps to its schema, whatever the incident is', () => {
    const bodies = [
      alertOf(),
      alertOf({ state: AlertState.RESOLVED, retracted: true }),
      alertOf({ seriesName: '', value: Number.NaN, authority: RuleAuthority.DEVICE }),
      alertOf({ value: Number.NEGATIVE_INFINITY }),
    ].map((alert) => webhookBody(alert, '', undefined));
    for (const body of bodies) expect(v.parse(webhookBodySchema, JSON.parse(JSON.stringify(body)))).toEqual(body);
    expect(bodies[1]?.data.resolvedAt).toBe('2026-11-26T12:01:00.000001Z');
    expect(bodies[2]?.data).toMatchObject({ series: null, value: 'NaN', evaluatedBy: 'device' });
  });

  it('stays small, whatever a device sends', () => {
    const annotations = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`a${at}`, 'x'.repeat(100_000)]));
    const { data } = webhookBody(alertOf({ annotations }), '', undefined);
    expect(Object.keys(data.annotations)).toHaveLength(64);
    expect(data.annotations.a0).toBe(`${'x'.repeat(2047)}…`);
  });

  it('has a JSON Schema beside it that is up to date', async () => {
    const file = fileURLToPath(new URL('../../notify/webhook-body.schema.json', import.meta.url));
    const generated = await generateJsonSchema(webhookBodySchema, 'Body of a webhook of tributary-collector');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(generated)));
  });
});

import { describe, expect, it } from 'vitest';
import { actionTemplate, compileActionTemplate } from './action-template.js';
import { RESOLVED } from './alert-state.js';
import { sampleAlert } from './sample-alert.js';

describe('a template of an action', () => {
  it.each([
    ['fan {{state}}', 'fan firing'],
    ['{{ value }}{{unit}}', '51.5Cel'],
    ['{{rule}}/{{severity}}/{{device}}/{{series}}', 'too-warm/critical/pump-3/temperature'],
    ['{{labels.room}}-{{labels.team}}-{{labels.none}}', 'cellar-2-night-'],
    ['{{incident}}', '00000000000000000000000000000007'],
    ['{"fan": {"on": {{value}}}}', '{"fan": {"on": 51.5}}'],
    ['', ''],
  ])('%s becomes %s', (text, expected) => {
    expect(actionTemplate(text)(sampleAlert(7))).toBe(expected);
  });

  it('shows the state of the transition', () => {
    expect(actionTemplate('{{state}}')(sampleAlert(7, { state: RESOLVED }))).toBe('resolved');
  });

  it('takes what stands in an alert as it is', () => {
    expect(actionTemplate('{{rule}}')(sampleAlert(7, { rule: '{{value}} $(rm)' }))).toBe('{{value}} $(rm)');
  });

  it.each(['{{constructor}}', '{{labels.}}', '{{labels.a b}}', '{{}}', '{{value'])('refuses %s', (text) => {
    expect(compileActionTemplate(text)).toMatchObject({ ok: false });
  });
});

import { parseRules } from '@tributary/core/rules/rule';
import { describe, expect, it } from 'vitest';
import { DEVICE_RULES_BYTES_MAX, DeviceRules } from './device-rules.js';

const rule = (name: string, select: string, rest = 'above: 1, evaluate: device') =>
  `  - {name: ${name}, select: {name: t, ${select}}, ${rest}}\n`;
const parse = (...rules: string[]) => parseRules(`rules:\n${rules.join('')}`, 'rules.yaml');
const named = (text: string | undefined) => parseRules(text ?? '', 'text.yaml').map(({ name }) => name);

const hot = rule('hot', 'device: "kiln*"');
const north = rule('north', 'attributes: {site: north}');
const central = rule('central', 'device: "*"', 'above: 1');

function surroundings(...rules: string[]) {
  const changed: [number, string][] = [];
  const leftOut: number[] = [];
  const device = new DeviceRules(parse(...rules), {
    devicesMax: 3,
    changed: (deviceId, version) => changed.push([deviceId, version]),
    tooLarge: (count) => leftOut.push(count),
  });
  const register = (id: number, name: string, has = '', site = 'south') =>
    device.registered(id, { tenant: '', device: name }, { site }, has);
  return { device, register, changed, leftOut };
}

describe('rules for devices', () => {
  it('are those that a device evaluates itself, and that can be for it', () => {
    const { register, device } = surroundings(hot, north, central);
    expect(device.size).toBe(2);
    expect(named(register(1, 'kiln-1')?.text)).toEqual(['hot']);
    expect(named(register(2, 'kiln-2', '', 'north')?.text)).toEqual(['hot', 'north']);
    expect(register(3, 'pump')).toBeUndefined();
    expect(register(3, 'pump', 'old')).toEqual({ version: '', text: '' });
  });

  it('are not sent to a device that has them', () => {
    const { register } = surroundings(hot);
    const sent = register(1, 'kiln-1')!;
    expect(sent.version).toMatch(/^[0-9a-f]{16}$/);
    expect(register(1, 'kiln-1', sent.version)).toBeUndefined();
    expect(register(2, 'kiln-2')).toEqual(sent);
  });

  it('that change are told to those whose rules are others now', async () => {
    const { device, register, changed } = surroundings(hot, north);
    const before = register(1, 'kiln-1')!;
    register(2, 'pump', '', 'north');
    register(3, 'valve');
    await device.update(parse(hot, rule('north', 'attributes: {site: north}', 'above: 2, evaluate: device'), central));
    expect(changed.map(([deviceId]) => deviceId)).toEqual([2]);
    expect(device.changedFor(2)).toBe(changed[0]![1]);
    expect(device.changedFor(1)).toBeUndefined();
    expect(register(1, 'kiln-1', before.version)).toBeUndefined();
    await device.update([]);
    expect(changed.slice(1)).toEqual([
      [2, ''],
      [1, ''],
    ]);
    expect(register(2, 'pump', 'whatever')).toEqual({ version: '', text: '' });
    expect(device.changedFor(2)).toBeUndefined();
  });

  it('are remembered of so many devices, and known to be for the others when they register', () => {
    const { device, register } = surroundings(hot);
    for (let id = 1; id <= 4; id++) register(id, `kiln-${id}`);
    void device.update([]);
    expect(device.changedFor(1)).toBeUndefined();
    expect(device.changedFor(4)).toBe('');
  });

  it('that are more than a device takes are left out from the end, and that is said', () => {
    const text = 'x'.repeat(1000);
    const many = Array.from({ length: 400 }, (_, at) =>
      rule(`r${at}`, 'device: "*"', `above: 1, evaluate: device, annotations: {text: ${text}}`),
    );
    const { register, leftOut } = surroundings(...many);
    const sent = register(1, 'kiln-1')!;
    expect(Buffer.byteLength(sent.text)).toBeLessThanOrEqual(DEVICE_RULES_BYTES_MAX);
    const names = named(sent.text);
    expect(names.length + leftOut[0]!).toBe(400);
    expect(names.length).toBeGreaterThan(200);
    expect(names.at(-1)).toBe(`r${names.length - 1}`);
  });
});

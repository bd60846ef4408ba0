import { Metadata } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { TributaryError } from './tributary-error.js';

describe('an error for a person', () => {
  it('is itself when it is one already', () => {
    const error = new TributaryError('busy', 'the buffer is in use');
    expect(TributaryError.from(error)).toBe(error);
  });

  it('is made of whatever was thrown, which stays its cause', () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    expect(TributaryError.from(full)).toMatchObject({
      code: 'disk-full',
      message: 'no space is left on the disk',
      cause: full,
    });
    const refused = Object.assign(new Error('16 UNAUTHENTICATED: who?'), {
      code: 16,
      details: 'who?',
      metadata: new Metadata(),
    });
    expect(TributaryError.from(refused)).toMatchObject({
      code: 'unauthenticated',
      message: 'the other side refused this caller: who?',
    });
    expect(TributaryError.from(new TypeError('x is undefined\n  at y'))).toMatchObject({
      code: 'internal',
      message: 'x is undefined',
    });
    expect(TributaryError.from('plain')).toMatchObject({ code: 'internal', message: 'plain' });
    expect(TributaryError.from(undefined).message).toBe('undefined');
    expect(TributaryError.from(new Error('')).message).toBe('an error without a message');
  });
});

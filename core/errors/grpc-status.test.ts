import { Metadata, status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { grpcOutcome, isGrpcError } from './grpc-status.js';

describe('the outcome of a failed call', () => {
  it.each([
    [status.UNAVAILABLE, 'unavailable'],
    [status.ABORTED, 'unavailable'],
    [status.UNAUTHENTICATED, 'unauthenticated'],
    [status.PERMISSION_DENIED, 'unauthenticated'],
    [status.RESOURCE_EXHAUSTED, 'resource-exhausted'],
    [status.DEADLINE_EXCEEDED, 'deadline'],
    [status.CANCELLED, 'cancelled'],
    [status.INVALID_ARGUMENT, 'invalid'],
    [status.NOT_FOUND, 'invalid'],
    [status.FAILED_PRECONDITION, 'invalid'],
    [status.UNIMPLEMENTED, 'unimplemented'],
    [status.INTERNAL, 'internal'],
    [status.UNKNOWN, 'internal'],
    [status.DATA_LOSS, 'internal'],
    [99, 'internal'],
  ])('of status %i is %s', (code, kind) => {
    expect(grpcOutcome({ code, details: 'x' }).kind).toBe(kind);
  });

  it('tells a TLS failure from an unreachable host', () => {
    const wrap = (text: string) => `No connection established. Last error: ${text}. Resolution note: `;
    expect(grpcOutcome({ code: 14, details: wrap('Error: connect ECONNREFUSED 127.0.0.1:1') })).toEqual({
      kind: 'unavailable',
      code: 'network',
      tls: undefined,
      hint: { kind: 'none' },
      message: 'the other side cannot be reached: connect ECONNREFUSED 127.0.0.1:1',
    });
    expect(grpcOutcome({ code: 14, details: wrap('Error: certificate has expired') })).toMatchObject({
      code: 'tls',
      tls: { kind: 'certificate-expired', by: 'local' },
    });
  });

  it('reads the same each time, on one line, and no longer than a log line', () => {
    const alert = (thread: string, at: string) =>
      `No connection established. Last error: ${thread}:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:../deps/openssl/rec_layer_s3.c:1601:SSL alert number 116\n (${at}). Resolution note: `;
    const first = grpcOutcome({ code: 14, details: alert('80DCC770B57F0000', '2026-11-21T01:16:48.092Z') }).message;
    const second = grpcOutcome({ code: 14, details: alert('80DCC770B57F0001', '2026-11-21T01:17:48.092Z') }).message;
    expect(first).toBe('the other side asks for a certificate and got none: tlsv13 alert certificate required');
    expect(second).toBe(first);
    expect(grpcOutcome({ code: 13, details: `a\nb${'x'.repeat(10_000)}` }).message.length).toBeLessThan(400);
  });

  it("carries the server's hint", () => {
    const metadata = new Metadata();
    metadata.set('grpc-retry-pushback-ms', '250');
    expect(grpcOutcome({ code: 8, details: 'full', metadata }).hint).toEqual({ kind: 'after', delayMs: 250 });
  });
});

describe('an error of grpc-js', () => {
  it('is known by its number, details and trailers', () => {
    const metadata = new Metadata();
    expect(isGrpcError(Object.assign(new Error('x'), { code: 14, details: 'x', metadata }))).toBe(true);
    expect(isGrpcError(Object.assign(new Error('x'), { code: 'ENOENT' }))).toBe(false);
    expect(isGrpcError({ code: 14, details: 'x', metadata })).toBe(false);
  });
});

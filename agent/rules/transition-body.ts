import { TRANSITION_LIMITS } from '@tributary/core/rules/transition-limits';
import { clippedTexts, FIRING, type LocalTransition, RESOLVED } from './local-transition.js';

// Encoded by hand (https://protobuf.dev/programming-guides/encoding/): the generated module brings gRPC along, which an agent
// has only once its sources run. A test compares the two.

/** The body of a transition item: a protobuf `IncidentTransition`, within what a collector takes. */
export function encodeTransition(transition: LocalTransition, seriesId: number): Uint8Array {
  const { bytesMax } = TRANSITION_LIMITS;
  for (let valueBytesMax: number = TRANSITION_LIMITS.valueBytesMax; ; valueBytesMax >>>= 1) {
    const body = encode(transition, seriesId, valueBytesMax);
    if (body.length <= bytesMax || valueBytesMax === 0) return body;
  }
}

function encode(transition: LocalTransition, seriesId: number, valueBytesMax: number): Uint8Array {
  const { rule, version, to, onset, started, at, value, severity, labels, annotations } = transition;
  const message = new MessageWriter();
  message.text(1, rule);
  message.text(2, version);
  message.count(3, seriesId);
  message.count(4, to === 'firing' ? FIRING : RESOLVED);
  message.bytes(5, Buffer.from(onset.epoch, 'hex'));
  message.count(6, onset.sequence);
  message.count(7, onset.row);
  message.signed(8, started.us);
  message.count(9, started.segment);
  message.signed(10, at.us);
  message.count(11, at.segment);
  message.double(12, value ?? Number.NaN);
  message.text(13, severity);
  message.texts(14, clippedTexts(labels, valueBytesMax));
  message.texts(15, clippedTexts(annotations, valueBytesMax));
  message.signed(16, onset.gridUs);
  return message.done();
}

const DELIMITED = 2;
const SIXTY_FOUR_BITS = 1;

/** Writes the fields of a message. proto3 leaves out what is zero or empty. */
class MessageWriter {
  readonly #bytes: number[] = [];

  done(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  count(field: number, value: number): void {
    if (value === 0) return;
    this.#varint(BigInt(field << 3));
    this.#varint(BigInt(value));
  }

  /** As `sint64`. */
  signed(field: number, value: number): void {
    if (value === 0) return;
    this.#varint(BigInt(field << 3));
    const whole = BigInt(value);
    this.#varint(whole < 0n ? -2n * whole - 1n : 2n * whole);
  }

  double(field: number, value: number): void {
    if (Object.is(value, 0)) return;
    this.#varint(BigInt((field << 3) | SIXTY_FOUR_BITS));
    const eight = new DataView(new ArrayBuffer(8));
    eight.setFloat64(0, value, true);
    for (let at = 0; at < 8; at++) this.#bytes.push(eight.getUint8(at));
  }

  bytes(field: number, value: Uint8Array): void {
    if (value.length > 0) this.#delimited(field, value);
  }

  text(field: number, value: string): void {
    this.bytes(field, Buffer.from(value));
  }

  texts(field: number, map: Readonly<Record<string, string>>): void {
    for (const [key, value] of Object.entries(map)) {
      const entry = new MessageWriter();
      entry.#delimited(1, Buffer.from(key));
      if (value !== '') entry.#delimited(2, Buffer.from(value));
      this.#delimited(field, entry.done());
    }
  }

  #delimited(field: number, value: Uint8Array): void {
    this.#varint(BigInt((field << 3) | DELIMITED));
    this.#varint(BigInt(value.length));
    for (const byte of value) this.#bytes.push(byte);
  }

  #varint(value: bigint): void {
    let rest = value;
    for (; rest >= 0x80n; rest >>= 7n) this.#bytes.push(Number(rest & 0x7fn) | 0x80);
    this.#bytes.push(Number(rest));
  }
}

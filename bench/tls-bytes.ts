/** Content types of records: RFC 8446, section 5.1. */
const ALERT = 21;
const HANDSHAKE = 22;
const APPLICATION_DATA = 23;
const CHANGE_CIPHER_SPEC = 20;
const HEADER_BYTES = 5;

/**
 * Length of a record that holds nothing but a Finished message: 4 bytes of head, the hash of the cipher suite (SHA-256 or
 * SHA-384), 1 byte of inner type and 16 of tag. A Certificate is far longer, a CertificateVerify some 95 bytes or more.
 */
const FINISHED_LENGTHS = [4 + 32 + 1 + 16, 4 + 48 + 1 + 16];

/**
 * Tells the handshake's bytes from the others in what a client of TLS 1.3 sends. From its second flight on all is
 * encrypted and looks alike; the handshake ends with the first encrypted record that has a Finished message's length.
 */
export class TlsBytes {
  /** Bytes up to the end of the client's Finished, and after it: record heads and tags are part of both. */
  handshake = 0;
  application = 0;
  private readonly header = new Uint8Array(HEADER_BYTES);
  private headerBytes = 0;
  private bodyLeft = 0;
  private established = false;
  private endsHandshake = false;

  /** Takes the next piece of the stream. Throws for what is no TLS 1.3. */
  take(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.bodyLeft > 0) {
        const part = Math.min(this.bodyLeft, bytes.length - at);
        this.count(part);
        this.bodyLeft -= part;
        at += part;
        if (this.bodyLeft === 0 && this.endsHandshake) this.established = true;
        continue;
      }
      this.header[this.headerBytes++] = bytes[at++]!;
      this.count(1);
      if (this.headerBytes === HEADER_BYTES) this.openRecord();
    }
  }

  private count(bytes: number): void {
    if (this.established) this.application += bytes;
    else this.handshake += bytes;
  }

  private openRecord(): void {
    const type = this.header[0]!;
    const length = (this.header[3]! << 8) | this.header[4]!;
    this.headerBytes = 0;
    this.bodyLeft = length;
    const isKnown = type === HANDSHAKE || type === CHANGE_CIPHER_SPEC || type === ALERT || type === APPLICATION_DATA;
    if (!isKnown || this.header[1] !== 3) throw new Error(`a record of type ${type} is no TLS 1.3`);
    if (this.established && type !== APPLICATION_DATA) throw new Error(`a record of type ${type} after the handshake`);
    if (type !== APPLICATION_DATA || this.established) return;
    this.endsHandshake = FINISHED_LENGTHS.includes(length);
  }
}

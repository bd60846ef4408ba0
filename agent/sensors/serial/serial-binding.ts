/** How the line is driven. The UART's own terms. */
export interface SerialPortOptions {
  baudRate: number;
  dataBits: 5 | 6 | 7 | 8;
  parity: 'none' | 'even' | 'odd';
  stopBits: 1 | 2;
}

export interface SerialPortHandlers {
  /** Bytes that arrived. The chunk is not touched afterwards. */
  onData(chunk: Uint8Array): void;
  /** The port has closed by itself, once: the device was unplugged. Never called after `close`. */
  onClose(why: string): void;
}

/** An open port. */
export interface OpenSerialPort {
  /**
   * Resolves when the system has taken the bytes and sent them on. Rejects when the port is closed meanwhile: what was not
   * sent by then never is.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when the device is free again. Never rejects. */
  close(): Promise<void>;
}

/** The narrow place where serial hardware is touched. */
export interface SerialBinding {
  /** Rejects with an error whose message says why the port could not be opened. Each call opens a new port. */
  open(path: string, options: SerialPortOptions, handlers: SerialPortHandlers): Promise<OpenSerialPort>;
}

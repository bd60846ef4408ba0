import type { SerialPort } from 'serialport';
import { DevicePresence } from './device-presence.js';
import type { OpenSerialPort, SerialBinding, SerialPortHandlers } from './serial-binding.js';

/**
 * The real ports, through the `serialport` package, which is loaded at the first open: an agent without a serial source
 * never pays for its memory.
 *
 * An unplug is seen as `close` with an error. There is one way to miss it: when a hang-up comes between the arrival of data
 * and its read, Linux answers the read with zero bytes, and @serialport/bindings-cpp 13 then reads again without end, at
 * the cost of a whole core (seen in 7 of 120 hang-ups of a busy pty). So a silent port is closed when its device node has
 * gone or is another one.
 */
export const serialportBinding: SerialBinding = {
  async open(path, options, handlers) {
    const { SerialPort: Port } = await import('serialport');
    // `hupcl: false` leaves DTR alone at close, or boards such as the Arduino reset with each stop of the agent.
    const port = new Port({ path, ...options, hupcl: false, lock: true, autoOpen: false });
    await new Promise<void>((resolve, reject) => {
      port.open((error) => (error === null ? resolve() : reject(error)));
    });
    return attach(port, path, handlers);
  },
};

function attach(port: SerialPort, path: string, handlers: SerialPortHandlers): OpenSerialPort {
  let closing = false;
  const presence = new DevicePresence(path, () => lost('the device is gone'));

  const close = () =>
    new Promise<void>((resolve) => {
      closing = true;
      presence.stop();
      // An error means that it is closed already, or that nothing more can be done about it.
      port.close(() => resolve());
    });
  const lost = (why: string) => {
    if (closing) return;
    // The old port lets go of the device before anybody tries to open it again.
    void close().then(() => handlers.onClose(why));
  };

  port.on('data', (chunk: Buffer) => {
    presence.heard();
    if (!closing) handlers.onData(chunk);
  });
  port.on('close', (error: Error | null) => lost(error?.message ?? 'closed'));
  port.on('error', (error) => lost(error.message));
  return { write: (bytes) => write(port, bytes), close };
}

/**
 * The package keeps what is written while a port is not open, and sends it when it is opened again; here a port is opened
 * once and never again, and its owner asks for no write that is not to an open one.
 */
function write(port: SerialPort, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const closed = () => reject(new Error('the port was closed'));
    const settle = (error: Error | null | undefined) => {
      port.off('close', closed);
      if (error === null || error === undefined) resolve();
      else reject(error);
    };
    port.once('close', closed);
    port.write(Buffer.from(bytes), undefined, (error) => {
      if (error === null || error === undefined) port.drain(settle);
      else settle(error);
    });
  });
}

import type { Identity } from '@tributary/core/identity/spiffe-id';
import { glob, type Matcher } from '@tributary/core/rules/glob';
import { CallError } from '../server/call-error.js';
import type { DeviceName, Store } from '../store/store.js';

/** A device as a query names it: `device`, or `tenant/device`; neither part can hold a slash. */
export function deviceReference({ tenant, device }: DeviceName): string {
  return tenant === '' ? device : `${tenant}/${device}`;
}

/** The reverse of {@link deviceReference}. */
export function parseDeviceReference(text: string): DeviceName {
  const slash = text.indexOf('/');
  return slash < 0 ? { tenant: '', device: text } : { tenant: text.slice(0, slash), device: text.slice(slash + 1) };
}

export interface NamedDevice {
  deviceId: number;
  name: DeviceName;
}

const DEVICES_PAGE = 500;

/** What one caller may read: an operator every device, a device itself, others nothing. */
export class ReadScope {
  readonly #store: Pick<Store, 'findDevice' | 'listDevices'>;
  readonly #own: DeviceName | undefined;

  constructor(store: Pick<Store, 'findDevice' | 'listDevices'>, identity: Identity) {
    this.#store = store;
    if (identity.kind === 'collector') throw new CallError('denied', 'only operators and devices may query');
    this.#own = identity.kind === 'device' ? { tenant: identity.tenant ?? '', device: identity.device } : undefined;
  }

  /** The device that is meant; empty is the calling device. Throws a `CallError` when there is none or it is another's. */
  async one(reference: string): Promise<NamedDevice> {
    if (reference === '' && this.#own === undefined) throw new CallError('invalid', 'device: missing; name one device');
    const name = reference === '' ? this.#own! : parseDeviceReference(reference);
    this.#allow(name);
    const deviceId = await this.#store.findDevice(name);
    if (deviceId === undefined) throw new CallError('not-found', `there is no device ${deviceReference(name)}`);
    return { deviceId, name };
  }

  /** Like `one`; undefined when the reference is empty and the caller may read all. */
  async oneOrAll(reference: string): Promise<NamedDevice | undefined> {
    return reference === '' && this.#own === undefined ? undefined : this.one(reference);
  }

  /** Devices that match a pattern (empty is all that may be read), from `firstDeviceId` on. */
  async *matching(pattern: string, firstDeviceId: number): AsyncGenerator<NamedDevice> {
    const matches: Matcher = glob(pattern === '' ? '*' : pattern);
    if (this.#own !== undefined) {
      if (pattern !== '' && !matches(deviceReference(this.#own))) return;
      const own = await this.one('');
      if (own.deviceId >= firstDeviceId) yield own;
      return;
    }
    let after = firstDeviceId - 1;
    for (;;) {
      const page = await this.#store.listDevices(after, DEVICES_PAGE);
      for (const { deviceId, tenant, device } of page) {
        const name = { tenant, device };
        if (matches(deviceReference(name))) yield { deviceId, name };
      }
      if (page.length < DEVICES_PAGE) return;
      after = page[page.length - 1]!.deviceId;
    }
  }

  /** Whether the caller is a device, and which. */
  get own(): DeviceName | undefined {
    return this.#own;
  }

  #allow(name: DeviceName): void {
    const own = this.#own;
    if (own === undefined || (own.tenant === name.tenant && own.device === name.device)) return;
    throw new CallError('denied', `a device may read itself only, and this is ${deviceReference(own)}`);
  }
}

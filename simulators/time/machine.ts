import type { HostTime } from '@tributary/agent/runtime/host-time';
import type { Clock } from '@tributary/core/clock/clock';

/**
 * The clocks of a machine that boots, sleeps, and whose wall clock is wrong, set and synchronised, on top of a clock that is
 * right. The monotonic one counts from the boot, at its crystal's rate, and stands still in a sleep.
 */
export class Machine implements Clock, HostTime {
  bootId = '';
  readonly #trueUs: () => number;
  #boots = 0;
  #bootedAtUs = 0;
  #asleepUs = 0;
  #rate = 1;
  /** Wall time minus monotonic time. */
  #offsetUs = 0;
  #synchronizedAtUs: number | undefined;

  constructor(trueUs: () => number) {
    this.#trueUs = trueUs;
  }

  /** `rate`: monotonic seconds in a true second. Its wall clock is off by `wallErrorUs`, and nobody says that it is right. */
  boot(wallErrorUs: number, rate = 1): void {
    this.#boots++;
    this.bootId = this.#boots.toString(16).padStart(32, '0');
    this.#bootedAtUs = this.#trueUs();
    this.#asleepUs = 0;
    this.#rate = rate;
    this.#offsetUs = this.#trueUs() + wallErrorUs;
    this.#synchronizedAtUs = undefined;
  }

  /** Somebody sets the clock. */
  step(byUs: number): void {
    this.#offsetUs += byUs;
  }

  /** A time service sets the clock right, says so, and keeps it. */
  synchronize(): void {
    const [monotonicUs, trueUs] = [this.monotonicUs(), this.#trueUs()];
    this.#rate = 1;
    this.#bootedAtUs = trueUs - this.#asleepUs - monotonicUs;
    this.#offsetUs = trueUs - monotonicUs;
    this.#synchronizedAtUs = trueUs;
  }

  /** To be called after the true time has passed that it slept. */
  slept(us: number): void {
    this.#asleepUs += us;
    this.#offsetUs += us;
  }

  monotonicUs(): number {
    return Math.round((this.#trueUs() - this.#bootedAtUs - this.#asleepUs) * this.#rate);
  }

  wallUs(): number {
    return Math.round(this.monotonicUs() + this.#offsetUs);
  }

  synchronizedAtUs(): number | undefined {
    return this.#synchronizedAtUs;
  }

  sinceBootUs(): number {
    return this.monotonicUs() + this.#asleepUs;
  }
}

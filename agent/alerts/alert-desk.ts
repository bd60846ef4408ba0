import type { Random } from '@tributary/core/clock/random';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { type NewIntent, Standing } from '../buffer/alert-table.js';
import type { Buffer as EdgeBuffer } from '../buffer/buffer.js';
import type { ActionReport, Plan } from './action-core.js';
import { ActionRunner, type ActionRunnerDeps } from './action-runner.js';
import { type AlertBodies, loadAlertBodies } from './alert-body.js';
import { AlertLog } from './log-alert.js';
import { OutcomeWriter } from './outcome-writer.js';
import { programProblems } from './program-problems.js';
import type { AlertActionConfig } from './schema.js';
import { type ShownStatus, StatusBoard } from './status-board.js';

/** What surrounds the desk. */
export interface AlertDeskDeps extends Omit<ActionRunnerDeps, 'settled' | 'board'> {
  buffer: EdgeBuffer;
  random: Random;
}

/** Where alerts come in, whoever judged them: the collector, in the order of their numbers, or this device itself. */
export class AlertDesk {
  readonly #deps: AlertDeskDeps;
  readonly #board: StatusBoard;
  readonly #runner: ActionRunner;
  readonly #outcomes: OutcomeWriter;
  readonly #alertLog: AlertLog;
  /** Ids in the buffer, by ticket; those of before a salvage are void. */
  readonly #ids = new Map<number, number>();
  #tickets = 0;
  #recalled: Promise<void> | undefined;
  #loading: Promise<AlertBodies> | undefined;
  #salvages = 0;
  #damagedIntents = 0;
  /** One call after the other: what is stored first is done first. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(configs: readonly AlertActionConfig[], deps: AlertDeskDeps) {
    this.#deps = deps;
    this.#board = new StatusBoard(configs.flatMap(({ status }) => status ?? []));
    this.#outcomes = new OutcomeWriter(deps);
    for (const problem of programProblems(configs)) deps.log.warn(problem, 'a program for alerts cannot be run now');
    this.#alertLog = new AlertLog(configs, deps.log);
    this.#runner = new ActionRunner(configs, {
      ...deps,
      board: this.#board,
      settled: (ticket, standing, reason, status) => {
        // Of a ticket from before a salvage there is no row any more.
        const id = this.#ids.get(ticket) ?? 0;
        this.#ids.delete(ticket);
        if (id > 0 || status !== undefined) this.#outcomes.write({ id, standing, reason }, status);
      },
    });
  }

  /** What each action has done since the start. */
  get actions(): ActionReport[] {
    return this.#runner.report;
  }

  get statuses(): ShownStatus[] {
    return this.#board.shown;
  }

  /** Intents of an earlier start whose rows were damaged: never done. */
  get damagedIntents(): number {
    return this.#damagedIntents;
  }

  /**
   * Takes transitions of incidents. Those that are new are stored in one transaction with what is to be done about them, and
   * are done then, in this order; it resolves with them once they are stored, and waits for no action. An incident's state is
   * taken once, so an incident that this device has judged itself (number 0) may come again with its number from the
   * collector: the cursor moves, and nothing is done twice.
   *
   * Rejects with a `TributaryError` when the buffer cannot be written. Nothing was done then, and nothing will be until the
   * call is made again.
   */
  take(alerts: readonly Alert[]): Promise<Alert[]> {
    const taken = this.#last.catch(() => {}).then(() => this.#take(alerts));
    this.#last = taken;
    return taken;
  }

  /**
   * Goes on with what an earlier start has left. Rejects with a `TributaryError` when the buffer cannot be read; `take` does it
   * first where it was not done.
   */
  recall(): Promise<void> {
    this.#recalled ??= this.#recall().catch((thrown: unknown) => {
      this.#recalled = undefined;
      throw thrown;
    });
    return this.#recalled;
  }

  /** Begins no action any more. Resolves when none is under way and what became of them is stored, or refused by the disk. */
  async stop(): Promise<void> {
    await this.#runner.stop();
    await this.#outcomes.close();
  }

  async #take(alerts: readonly Alert[]): Promise<Alert[]> {
    await this.recall();
    const plans = alerts.map((alert) => this.#runner.plan(alert));
    const intents = await this.#intents(alerts, plans);
    const stored = await this.#deps.buffer.storeAlerts(alerts, intents);
    // Whether the buffer knew these alerts before it was damaged, nobody can say.
    const isUnsure = stored.salvages !== this.#salvages;
    if (isUnsure) this.#forget(stored.salvages);
    for (const at of stored.fresh) {
      const alert = alerts[at]!;
      const ids = new Map<string, number>();
      for (const [index, intent] of intents.entries()) {
        if (intent.alert === at) ids.set(intent.action, stored.intents[index]!);
      }
      this.#alertLog.write(alert);
      this.#begin(alert, isUnsure ? this.#runner.plan(alert) : plans[at]!, ids);
    }
    return stored.fresh.map((at) => alerts[at]!);
  }

  /** The alert is stored, and what was planned then has the ids. */
  #begin(alert: Alert, plans: readonly Plan[], ids: ReadonlyMap<string, number>): void {
    const tickets: number[] = [];
    for (const { action, skip } of plans) {
      const id = ids.get(action);
      if (skip === undefined) tickets.push(this.#ticket(id));
      else if (id !== undefined) this.#outcomes.write({ id, standing: Standing.skipped, reason: skip });
    }
    this.#runner.dispatch({ type: 'stored', alert, plans, tickets });
  }

  #ticket(id: number | undefined): number {
    this.#tickets++;
    if (id !== undefined) this.#ids.set(this.#tickets, id);
    return this.#tickets;
  }

  /** The buffer was salvaged while the agent ran: its intents are gone, and so may be alerts that were taken. */
  #forget(salvages: number): void {
    this.#salvages = salvages;
    this.#ids.clear();
    this.#runner.forget();
  }

  #bodies(): Promise<AlertBodies> {
    this.#loading ??= loadAlertBodies();
    return this.#loading;
  }

  async #intents(alerts: readonly Alert[], plans: readonly Plan[][]): Promise<NewIntent[]> {
    const { standing } = this.#runner;
    const planned = plans.flatMap((those, alert) =>
      those.filter(({ skip }) => skip === undefined).map(({ action }) => ({ alert, action })),
    );
    if (planned.length === 0) return [];
    const { encode } = await this.#bodies();
    return planned.map(({ alert, action }) => ({ alert, action, standing, body: encode(alerts[alert]!) }));
  }

  async #recall(): Promise<void> {
    const { buffer, log } = this.#deps;
    const { intents, damagedIntents, statuses, salvages } = await buffer.recallAlerts();
    const { opened, isSuspect } = buffer.identity;
    this.#salvages = salvages;
    // Whether such a buffer knows what was done before it, nobody can say.
    if (opened === 'created' || opened === 'recovered' || isSuspect) this.#runner.forget();
    this.#board.restore(statuses);
    this.#damagedIntents += damagedIntents;
    if (damagedIntents > 0) log.warn({ damagedIntents }, 'alert actions whose rows are damaged are skipped');
    if (intents.length === 0) return;
    const { decode } = await this.#bodies();
    const recalled = intents.map(({ id, action, standing, body }) => {
      return { ticket: this.#ticket(id), action, standing, alert: decode(body) };
    });
    this.#runner.dispatch({ type: 'recalled', intents: recalled });
  }
}

import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { IncidentServiceClient } from '@tributary/proto/gen/tributary/v1/incident';
import { type Command, InvalidArgumentError } from 'commander';
import { parseInstantUs } from '../query/instant-format.js';
import type { ClientFlags } from '../query/query-client.js';
import { connection, device, format, parseCount, range } from '../query/question-flags.js';
import type { Format } from '../query/row-writer.js';

interface IncidentFlags extends ClientFlags {
  format: Format;
  device?: string;
  rule?: string;
  from?: number;
  until?: number;
  open?: boolean;
  retracted?: boolean;
  limit?: number;
  comment?: string;
}

interface SilenceFlags extends ClientFlags {
  format: Format;
  match?: Record<string, string>;
  from?: number;
  until: number;
  comment?: string;
  expired?: boolean;
}

const ID_HELP = 'its id, or the first digits of it, at least 8';
const TIME_HELP = 'ISO 8601, or in how long, such as 2h';

const INCIDENT_EXAMPLES = `
Examples:
  incidents list --open --rule "oven-*" --config operator.yaml
  incidents ack 3f9a52c1 --comment "on my way" --config operator.yaml
  incidents show 3f9a52c1 --format json --config operator.yaml`;

const SILENCE_EXAMPLES = `
Examples:
  silences add --match device="oven-*" --match severity=warning --until 2h --comment cleaning --config operator.yaml
  silences expire 17 --config operator.yaml`;

/**
 * Adds `incidents list | show | ack | comment | resolve`, `silences add | list | expire`, and `rules` to `query`. Failures
 * reject with a `TributaryError`. What a command needs is loaded when it runs.
 */
export function addIncidentCommands(program: Command, query: Command): void {
  addIncidents(
    program
      .command('incidents')
      .description('see what alerts have come to, and say who deals with it')
      .addHelpText('after', INCIDENT_EXAMPLES),
  );
  addSilences(
    program
      .command('silences')
      .description('keep alerts from people for a while; devices get them all')
      .addHelpText('after', SILENCE_EXAMPLES),
  );

  rulesMatching(
    device(query.command('rules').description('where each rule stands for each series of a device'), 'the device'),
  ).action((flags: IncidentFlags) =>
    asking(flags, async (client) => {
      const { ruleStates } = await import('./incident-answers.js');
      await ruleStates(client, { device: flags.device ?? '', rule: flags.rule ?? '' }, process.stdout, flags.format);
    }),
  );
}

function addIncidents(incidents: Command): void {
  rulesMatching(range(device(incidents.command('list').description('incidents, the newest first'), 'one device')))
    .option('--open', 'only those that fire now')
    .option('--retracted', 'also those that late readings have shown to be none')
    .option('--limit <number>', 'at most so many', parseCount)
    .action((flags: IncidentFlags) =>
      asking(flags, async (client) => {
        const { listIncidents } = await import('./incident-answers.js');
        const question = {
          device: flags.device ?? '',
          rule: flags.rule ?? '',
          fromUs: flags.from ?? 0,
          untilUs: flags.until ?? 0,
          openOnly: flags.open === true,
          withRetracted: flags.retracted === true,
          limit: flags.limit ?? Number.POSITIVE_INFINITY,
        };
        await listIncidents(client, question, process.stdout, flags.format);
      }),
    );

  format(connection(incidents.command('show').description('one incident with its whole history')))
    .argument('<incident>', ID_HELP)
    .action((id: string, flags: IncidentFlags) =>
      asking(flags, async (client) => {
        const { showIncident } = await import('./incident-answers.js');
        await showIncident(client, id, process.stdout, flags.format);
      }),
    );

  deed(
    incidents,
    'ack',
    'say that somebody deals with it: it is notified no more while it lasts',
    'acknowledgeIncident',
  );
  deed(incidents, 'resolve', 'end it by hand; its device is told', 'resolveIncident');

  connection(incidents.command('comment').description('add to its history what others should know'))
    .argument('<incident>', ID_HELP)
    .argument('<text>', 'what to add')
    .action((id: string, text: string, flags: IncidentFlags) =>
      asking(flags, async (client) => {
        const { tellIncident } = await import('./incident-deeds.js');
        await tellIncident(client, 'commentIncident', id, text, process.stdout);
      }),
    );
}

/** A command that does something to incidents, one after another. */
function deed(
  incidents: Command,
  name: string,
  description: string,
  method: 'acknowledgeIncident' | 'resolveIncident',
): void {
  connection(incidents.command(name).description(description))
    .argument('<incident...>', ID_HELP)
    .option('--comment <text>', 'what others should know')
    .action((ids: string[], flags: IncidentFlags) =>
      asking(flags, async (client) => {
        const { tellIncident } = await import('./incident-deeds.js');
        for (const id of ids) await tellIncident(client, method, id, flags.comment ?? '', process.stdout);
      }),
    );
}

function addSilences(silences: Command): void {
  format(connection(silences.command('add').description('silence the alerts whose labels all match')))
    .requiredOption(
      '--match <label=pattern>',
      'repeatable: a label of the rule, or rule, severity, tenant, device, series, unit, series.LABEL; * and ? in patterns',
      parseMatch,
    )
    .requiredOption('--until <time>', TIME_HELP, parseAhead)
    .option('--from <time>', `${TIME_HELP}; now when absent`, parseAhead)
    .option('--comment <text>', 'why')
    .action((flags: SilenceFlags) =>
      asking(flags, async (client) => {
        const { addSilence } = await import('./silence-answers.js');
        const { match = {}, from = 0, until, comment = '' } = flags;
        await addSilence(client, { globs: match, fromUs: from, untilUs: until, comment }, process.stdout, flags.format);
      }),
    );

  format(connection(silences.command('list').description('silences, the newest first')))
    .option('--expired', 'also those that are over')
    .action((flags: SilenceFlags) =>
      asking(flags, async (client) => {
        const { listSilences } = await import('./silence-answers.js');
        await listSilences(client, flags.expired === true, process.stdout, flags.format);
      }),
    );

  connection(silences.command('expire').description('end silences now'))
    .argument('<silence...>', 'its number')
    .action((ids: string[], flags: SilenceFlags) =>
      asking(flags, async (client) => {
        const { expireSilence } = await import('./silence-answers.js');
        for (const id of ids) await expireSilence(client, id, process.stdout);
      }),
    );
}

function rulesMatching(command: Command): Command {
  return format(connection(command)).option('--rule <pattern>', 'pattern of rule names');
}

async function asking(flags: ClientFlags, ask: (client: IncidentServiceClient) => Promise<void>): Promise<void> {
  const { IncidentServiceClient: Service } = await import('@tributary/proto/gen/tributary/v1/incident');
  const { connectClient } = await import('../query/query-client.js');
  const client = await connectClient(Service, flags);
  try {
    await ask(client);
  } catch (error) {
    throw TributaryError.from(error);
  } finally {
    client.close();
  }
}

/** `LABEL=PATTERN`, gathered over all that are given. */
function parseMatch(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('a label and a pattern such as device=pump-* are needed');
  const label = text.slice(0, at);
  if (Object.hasOwn(before, label)) throw new InvalidArgumentError(`${label} is there twice; name each label once`);
  return { ...before, [label]: text.slice(at + 1) };
}

/** What lies ahead: a duration is from now on, not ago. */
function parseAhead(text: string): number {
  const nowMs = Date.now();
  const us = parseInstantUs(text, nowMs);
  if (us === undefined) {
    throw new InvalidArgumentError('a time such as 2026-03-01T12:00:00Z, or 2h for in two hours, is needed');
  }
  return /^\d+(ms|s|m|h|d)$/.test(text) ? 2 * nowMs * 1000 - us : us;
}

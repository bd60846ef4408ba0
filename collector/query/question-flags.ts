import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseInstantUs } from './instant-format.js';
import { FORMATS } from './row-writer.js';

/** Which device, or which devices, as `what` says. */
export function device(command: Command, what: string): Command {
  return command.option('--device <name>', what);
}

/** From when until when. */
export function range(command: Command): Command {
  return command
    .option('--from <time>', 'ISO 8601, or how long ago, such as 15m', parseTime)
    .option('--until <time>', 'the same; this instant is not included', parseTime);
}

/** Where to ask, and as whom. */
export function connection(command: Command): Command {
  return command
    .option('--config <file>', 'YAML file with address, ca, cert and key')
    .option('--address <host:port>', 'collector to ask')
    .option('--ca <file>', 'CA certificates')
    .option('--cert <file>', 'certificate of an operator')
    .option('--key <file>', 'its private key');
}

/** How to print. */
export function format(command: Command): Command {
  return command.addOption(
    new Option('--format <format>', 'how to print; json is one object a line').choices(FORMATS).default('table'),
  );
}

function parseTime(text: string): number {
  const us = parseInstantUs(text, Date.now());
  if (us === undefined)
    throw new InvalidArgumentError('a time such as 2026-03-01T12:00:00Z, or 15m for that long ago, is needed');
  return us;
}

/** A whole number above 0. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError('a whole number above 0 is needed');
  return Number(text);
}

import { UsageError } from '../../util/usage-error.ts';
import { duration, flag, integer, oneOf, text, timestamp, txid } from '../../flags/kinds.ts';
import type { FlagValues } from '../../flags/parse.ts';
import { configFlags } from '../shared/config-flags.ts';

export const restoreFlags = {
  ...configFlags,
  o: { kind: text('PATH'), help: 'Writes the database here.\nDefaults to where it was, for a database of the config.' },
  txid: {
    kind: txid('TXID'),
    help: 'Restores the state after this transaction, 16 hex digits.\nDefaults to the latest.',
  },
  timestamp: {
    kind: timestamp('TIMESTAMP'),
    help: 'Restores the state at this time: RFC 3339, a local time such as "2026-01-31 14:05" or "yesterday 14:05", or "2h ago".\nDefaults to the latest.',
  },
  'if-db-not-exists': { kind: flag(), help: 'Does nothing, and exits with 0, if the database exists.' },
  'if-replica-exists': { kind: flag(), help: 'Exits with 0 if the replica holds no backup.' },
  'dry-run': { kind: flag(), help: 'Prints the plan and writes nothing.' },
  force: { kind: flag(), help: 'Replaces an existing output and its SQLite side files, once the new one is whole.' },
  json: { kind: flag(), help: 'Prints a summary as JSON; logs go to standard error.' },
  f: {
    kind: flag(),
    help: 'Follows the replica: restores, then applies what is new, until it is stopped. Others may read the database all the time, but must not write to it. Goes on where it was, by the -txid file beside the database.',
  },
  'follow-interval': {
    kind: duration('DURATION', 1000),
    help: 'How often to look for changes with -f.\nDefaults to 1s.',
  },
  parallelism: {
    kind: integer('NUM', undefined, Number.NEGATIVE_INFINITY),
    help: 'Deprecated and without effect: accepted for compatibility with Litestream 0.3, and logs a warning.',
  },
  'integrity-check': {
    kind: oneOf('MODE', ['none', 'quick', 'full'], 'none'),
    help: 'Lets SQLite check the result before it is put in its place: none, quick, full.\nDefaults to none.',
  },
  'older-base': {
    kind: flag(),
    help: 'If a file is damaged, or the result is not the database that was replicated, makes the same state from an older snapshot and the files after it.',
  },
  proof: {
    kind: oneOf('MODE', ['checked', 'required', 'ignored'], 'checked'),
    help: 'How to check the database checksum that the last file states. checked: refuse a database with another checksum. required: also refuse a database whose last file states no checksum. ignored: warn about another checksum, and restore.\nDefaults to checked.',
  },
};
export type RestoreValues = FlagValues<typeof restoreFlags>;

/** Throws for flags that -f excludes. */
export function checkFollow(values: RestoreValues): void {
  if (values.txid !== undefined) throw new UsageError('cannot use follow mode with -txid', 'litestream restore -h');
  if (values.timestamp !== undefined) {
    throw new UsageError('cannot use follow mode with -timestamp', 'litestream restore -h');
  }
  if (values['dry-run']) throw new UsageError('cannot use -dry-run with -f', 'litestream restore -h');
  if (values['older-base']) throw new UsageError('cannot use follow mode with -older-base', 'litestream restore -h');
  if (values.proof !== 'checked') throw new UsageError('cannot use follow mode with -proof', 'litestream restore -h');
}

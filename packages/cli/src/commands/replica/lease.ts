import { Leaser } from '@litestream/core';
import type { Lease } from '@litestream/core';
import { formatTxid } from '@litestream/ltx';
import { goJsonIndented } from '../../control/go-json.ts';
import { flag } from '../../flags/kinds.ts';
import { formatSeconds } from '../../text/time.ts';
import { defineCommand } from '../shared/command.ts';
import type { Command } from '../shared/command.ts';
import { configFlags, oneArgument } from '../shared/config-flags.ts';
import { openTarget } from '../shared/target.ts';

const flags = {
  ...configFlags,
  break: {
    kind: flag(),
    help: 'Takes the lease from its holder, and deletes its record of acknowledged commits. The holder stops replicating at its next renewal; the next process waits for one term.',
  },
  json: { kind: flag(), help: 'Prints JSON in place of text.' },
};

export const command: Command = defineCommand({
  name: 'lease',
  help: {
    about: 'Shows which process holds the lease on a replica, since when and until when.',
    usage: ['lease [arguments] DB_PATH', 'lease [arguments] REPLICA_URL'],
    notes:
      'For a database of the config, the command shows the lease of its first replica. You need not break a lease whose holder was killed: the next process takes it over when it has expired. Break it if the next process is refused because it lacks acknowledged commits, and you accept that they are lost.',
    examples: [
      { about: 'Which process replicates to this URL?', line: 'lease s3://mybucket/app' },
      { about: 'Let the next process start without the missing commits.', line: 'lease -break s3://mybucket/app' },
    ],
  },
  flags,
  async run({ values, args }, { terminal }) {
    const target = oneArgument(args, 'database path or replica URL required', 'litestream lease s3://bucket/prefix');
    await using opened = await openTarget(target, values, terminal);
    await opened.client.init();
    const leaser = new Leaser(opened.client);
    leaser.requireSupport('lease');
    const seen = values.break ? await leaser.break() : await leaser.read();
    if (values.json) {
      terminal.out(goJsonIndented(rowOf(seen)));
      return 0;
    }
    if (seen === undefined) {
      terminal.out(`No process has taken a lease on ${opened.text}\n`);
      return 0;
    }
    terminal.out(`${describe(seen)}${values.break ? 'The lease is broken.\n' : ''}`);
    return 0;
  },
});

type Row = Readonly<Record<string, string | number | boolean | null>>;

function rowOf(lease: Lease | undefined): Row {
  if (lease === undefined) return { held: false, generation: 0 };
  const { generation, owner, acquiredAt, brokenAt, expiresAt, releasedAt, acknowledgedTxid } = lease;
  return {
    held: releasedAt === undefined && brokenAt === undefined && expiresAt.getTime() >= Date.now(),
    generation,
    owner,
    acquired_at: acquiredAt?.toISOString() ?? null,
    expires_at: releasedAt === undefined ? expiresAt.toISOString() : null,
    released_at: releasedAt?.toISOString() ?? null,
    acknowledged_txid: acknowledgedTxid === undefined ? null : formatTxid(acknowledgedTxid),
  };
}

function describe({ generation, owner, acquiredAt, brokenAt, expiresAt, releasedAt, acknowledgedTxid }: Lease): string {
  const isExpired = releasedAt === undefined && expiresAt.getTime() < Date.now();
  const lines = [
    ['Owner', owner || 'unknown'],
    ['Generation', String(generation)],
    ...(acquiredAt === undefined ? [] : [['Since', formatSeconds(acquiredAt)]]),
    ...(brokenAt === undefined ? [] : [['Broken', formatSeconds(brokenAt)]]),
    releasedAt === undefined
      ? [isExpired ? 'Expired' : 'Until', formatSeconds(expiresAt)]
      : ['Released', formatSeconds(releasedAt)],
    ...(acknowledgedTxid === undefined ? [] : [['Acknowledged', `TXID ${formatTxid(acknowledgedTxid)}`]]),
  ];
  return lines.map(([name, value]) => `${`${name}:`.padEnd(14)}${value}\n`).join('');
}

/** `verify -live`: a running daemon compares a live database with its replicas. */
import { formatTxid } from '@litestream/ltx';
import { expandPath } from '../../config/paths.ts';
import { askDaemon } from '../../control/client.ts';
import { goJsonIndented } from '../../control/go-json.ts';
import type { VerifiedReplica, VerifyResponse } from '../../control/protocol.ts';
import type { Terminal } from '../../terminal/terminal.ts';

export interface LiveRequest {
  readonly path: string;
  readonly socket: string;
  readonly repair: boolean;
  readonly json: boolean;
}

/** Resolves to the exit status: 1 if a replica does not equal the database. */
export async function verifyLiveDatabase(request: LiveRequest, terminal: Terminal): Promise<number> {
  const { socket, repair, json } = request;
  const { path, replicas } = await askDaemon<VerifyResponse>({
    socket,
    name: 'verify',
    path: '/verify',
    body: { path: expandPath(request.path), ...(repair ? { repair } : {}) },
    // No limit: the daemon reads all pages and, with `repair`, all files of the replica.
    timeoutSeconds: 0,
  });
  const isSame = replicas.length > 0 && replicas.every(({ ok }) => ok);
  terminal.out(
    json ? goJsonIndented({ db_path: path, ok: isSame, replicas: replicas.map(jsonOf) }) : textOf(replicas, repair),
  );
  return isSame ? 0 : 1;
}

function jsonOf({
  replica,
  ok,
  error = '',
  txid = 0n,
  page_count = 0,
  repairs = [],
  faults = [],
}: VerifiedReplica): object {
  return { replica, ok, error, txid: txid === 0n ? '' : formatTxid(txid), page_count, repairs, faults };
}

const REPAIRS = {
  pages: 'replicated the pages that differed',
  snapshot: 'took a snapshot',
} as const satisfies Record<NonNullable<VerifiedReplica['repairs']>[number], string>;

function textOf(replicas: readonly VerifiedReplica[], areFilesRead: boolean): string {
  return replicas
    .map(
      (replica) =>
        `${replica.replica}\n${linesOf(replica, areFilesRead)
          .map((line) => `  ${line}\n`)
          .join('')}`,
    )
    .join('');
}

function linesOf(
  { ok, error, txid = 0n, page_count, repairs = [], faults = [] }: VerifiedReplica,
  areFilesRead: boolean,
): string[] {
  if (!ok) return [`not verified: ${error ?? 'unknown error'}`];
  const last = formatTxid(txid);
  return [
    ...repairs.map((repair) => `repaired: ${REPAIRS[repair]}`),
    ...faults.map((fault) => `fault: ${fault}`),
    `The live database, ${page_count ?? 0} pages, has the checksum that the replica states. Proven up to transaction ${last}.`,
    ...(areFilesRead ? [] : ['The other files of the replica were not read: "litestream verify" reads them.']),
  ];
}

/**
 * A transaction that holds the whole database, without a local file: the disk has no room for one. Replicas get a streamed
 * snapshot instead (docs/decisions/0027-disk-space.md).
 */
import { formatTxid } from '@litestream/ltx';
import { recordResync } from '../session/rest-record.ts';
import type { LastFile } from '../../local-ltx/last-file.ts';
import type { SyncContext } from './sync-context.ts';

const REASON = 'the whole database was replicated by a snapshot alone';

/**
 * Advances the position to `last` without a file. Until the next transaction has one, a start would continue from the
 * file before it, and miss the pages of this one: so a resync is recorded first. Throws if that is not possible, and
 * throws `refusal` if there is no replica: then only the database itself would hold the state.
 */
export function leaveOut(
  { session, metaPath, logger, onLeftOut }: SyncContext,
  last: LastFile,
  refusal: unknown,
): void {
  if (onLeftOut === undefined) throw refusal;
  recordResync(metaPath, REASON, session);
  session.recorded = undefined;
  session.published(last, undefined);
  session.isLastLeftOut = true;
  logger.warn('no room for a local file of the whole database, replicas get a snapshot in its place', {
    txid: formatTxid(last.txid),
    error: refusal,
  });
  onLeftOut({ txid: last.txid, timestampMs: last.timestampMs });
}

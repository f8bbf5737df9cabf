/**
 * Compares the live database with what its level-0 files make, whenever all of its pages were read, for example for a snapshot.
 */
import { CHECKSUM_FLAG, formatTxid } from '@litestream/ltx';
import { xorOf } from '../../pages/page-ledger.ts';
import type { SummedPages } from '../../ledger/ledger.ts';
import { recordCompared } from '../session/rest-record.ts';
import type { LastFile } from '../../local-ltx/last-file.ts';
import type { Session } from '../session/session.ts';
import type { SyncSessionContext } from './sync-session.ts';
import { failSession } from './sync-session.ts';

/**
 * The file of this commit states the checksum. Otherwise the proof would wait for the next commit of an application, and a restart
 * before it would lose the ledger again.
 */
async function commitForStatement({ session, busy, logger }: SyncSessionContext): Promise<void> {
  try {
    await session.connections.bumpSequence(busy);
  } catch (error) {
    logger.debug('no commit after the page ledger was built', { error });
  }
}

function noteCompared({ session, metaPath, logger }: SyncSessionContext): void {
  try {
    recordCompared(metaPath, session.ownership);
  } catch (error) {
    // The next start compares them again.
    logger.debug('end of the comparison could not be recorded', { error });
  }
}

/**
 * Call inside the mutex. `pages`: all pages of the database after the transaction of `last`. If `last` states no database
 * checksum, builds a ledger from `pages`. Rejects with `DATABASE_CHANGED` if the checksums differ: then the next sync takes the
 * pages that differ. Also rejects with it if the start left unproven pages and nothing states what they were: then the next sync
 * takes all pages.
 */
export async function checkPages(
  context: SyncSessionContext,
  current: Session | undefined,
  last: LastFile,
  pages: SummedPages,
): Promise<void> {
  const { session, ledger, logger } = context;
  // Another database file has replaced this one. Its replication begins with its own comparison.
  if (session !== current) return;
  const now = session.last;
  // Nothing states what the pages were, and the start left some unproven: a ledger built from them would prove nothing.
  if (last.databaseChecksum === 0n && session.isPartlyCompared) return await failSession(context, 'pages-unproven');
  if (last.databaseChecksum === 0n) {
    if (now === undefined || now.txid !== session.txid || session.isLastLeftOut) return;
    if (ledger.loadedFor(now) !== undefined) {
      // The commit failed after an earlier comparison.
      if (now.databaseChecksum === 0n) await commitForStatement(context);
      return;
    }
    if (await ledger.adopt(last, pages, now, session.ownership)) {
      ledger.noteProof(last.txid);
      logger.debug('page ledger built from all pages', { txid: formatTxid(last.txid), pages: pages.pgnos.length });
      await commitForStatement(context);
    }
    return;
  }
  const found = CHECKSUM_FLAG | xorOf(pages.checksums);
  if (found === last.databaseChecksum) {
    session.isPartlyCompared = false;
    noteCompared(context);
    ledger.noteProof(last.txid);
    return;
  }
  logger.error('pages of the database differ from what was replicated', {
    txid: formatTxid(last.txid),
    expected: last.databaseChecksum.toString(16),
    found: found.toString(16),
  });
  await failSession(context, 'pages-differ');
}

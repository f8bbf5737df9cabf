/** Compares all pages of a live database with what was replicated. Writers continue meanwhile. */
import { CHECKSUM_FLAG } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import { xorOf } from '../../pages/page-ledger.ts';
import { sumPages } from '../../local-ltx/writer/scan-pages.ts';
import { describeState, fixState } from './fixed-state.ts';
import type { StateContext } from './fixed-state.ts';
import { runCooperatively } from '../../util/cooperative.ts';

export interface ComparedPages {
  /** The database was compared as it is after this transaction. */
  readonly txid: TXID;
  readonly pageCount: number;
  readonly databaseChecksum: bigint;
}

/** Rejects with `DATABASE_CHANGED` if they differ; the next sync takes the pages that differ. */
export async function comparePages(context: StateContext): Promise<ComparedPages> {
  const state = await fixState(context);
  try {
    const signal = context.signal === undefined ? state.signal : AbortSignal.any([state.signal, context.signal]);
    const { list, source } = await describeState(state, signal);
    const checksums = new BigUint64Array(new SharedArrayBuffer(8 * list.pgnos.length));
    await state.reading(() => runCooperatively(sumPages({ list, source }, checksums), signal));
    await context.checkPages(state, { pgnos: list.pgnos, checksums });
    return { txid: state.last.txid, pageCount: list.pgnos.length, databaseChecksum: CHECKSUM_FLAG | xorOf(checksums) };
  } finally {
    await state.end();
  }
}

/** Determines what a copy must apply to catch up with its replica. */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { LtxFileInfo, ReplicaClient } from '../storage/contract/contract.ts';
import type { Logger } from '../util/logger.ts';
import { extendChain, newestSnapshot } from '../restore/plan/chain.ts';
import { SNAPSHOT_LEVEL } from '../storage/contract/levels.ts';

export type Step =
  /** There is nothing to apply: nothing is new, or new files are behind a gap. */
  | {
      readonly kind: 'none';
      readonly hasGap: boolean;
      /** The files that end where the copy does, where all levels were listed. */
      readonly ending?: readonly LtxFileInfo[];
    }
  /** These files continue the copy. */
  | { readonly kind: 'extend'; readonly chain: readonly LtxFileInfo[]; readonly hasGap: boolean }
  /** Only the whole database, from these files, can continue the copy. */
  | { readonly kind: 'rebase'; readonly chain: readonly LtxFileInfo[]; readonly reason: string }
  /** The replica ends before the copy does: it was reset, or its listing is late. */
  | { readonly kind: 'ahead'; readonly newest: TXID };

export interface StepContext {
  readonly client: ReplicaClient;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
}

const RELIST_COUNT_MAX = 2;

/**
 * One listing of level 0 from the next transaction on, which is all that an idle replica costs. More only if there is a
 * gap.
 */
export async function nextStep(context: StepContext, position: TXID): Promise<Step> {
  const files = await listLevel(context, 0, position + 1n);
  if (files.length === 0) return { kind: 'none', hasGap: false };
  const chain = extendChain(files, position, {});
  const reached = chain.at(-1)?.maxTxid ?? position;
  if (files.every((file) => file.maxTxid <= reached)) return { kind: 'extend', chain, hasGap: false };
  return await completeStep(context, position);
}

/**
 * The same from all levels. Files move upwards between two listings, so an apparent gap is listed again. The chain ends
 * at the newest transaction that can be reached. `known`: the copy may hold any transaction up to this one, and only a
 * chain that reaches it makes the copy consistent.
 */
export async function completeStep(context: StepContext, position: TXID, known: TXID = position): Promise<Step> {
  const { logger } = context;
  for (let attempt = 0; ; attempt++) {
    const files = await listAll(context);
    const newest = files.reduce((max, file) => (file.maxTxid > max ? file.maxTxid : max), 0n);
    if (newest < known) return { kind: 'ahead', newest };
    const chain = extendChain(files, position, {});
    const reached = chain.at(-1)?.maxTxid ?? position;
    if (reached === newest && chain.length === 0) {
      return { kind: 'none', hasGap: false, ending: files.filter((file) => file.maxTxid === position) };
    }
    if (reached === newest) return stepOf(chain, false);
    if (attempt < RELIST_COUNT_MAX) continue;
    const whole = wholeChain(files);
    if ((whole.at(-1)?.maxTxid ?? 0n) > reached) {
      const reason = `the replica has no file that continues TXID ${formatTxid(reached)}`;
      return { kind: 'rebase', chain: whole, reason };
    }
    logger.warn('follow: the replica has a gap', { 'txid.before': reached, 'txid.newest': newest });
    return stepOf(chain, true);
  }
}

function stepOf(chain: readonly LtxFileInfo[], hasGap: boolean): Step {
  return chain.length === 0 ? { kind: 'none', hasGap } : { kind: 'extend', chain, hasGap };
}

/** The files for the newest state that can be restored; empty if there is none. */
function wholeChain(files: readonly LtxFileInfo[]): LtxFileInfo[] {
  const snapshot = newestSnapshot(files, {});
  const chain = extendChain(files, snapshot?.maxTxid ?? 0n, {});
  if (snapshot !== undefined) chain.unshift(snapshot);
  return chain;
}

/** A rebase to the whole database as the replica has it now; `otherwise` if it has none. */
export async function wholeStep(context: StepContext, reason: string, otherwise: Step): Promise<Step> {
  const chain = wholeChain(await listAll(context));
  return chain.length === 0 ? otherwise : { kind: 'rebase', chain, reason };
}

/** All files, lowest level first: files only ever move upwards, so none is missed. */
export async function listAll(context: StepContext): Promise<LtxFileInfo[]> {
  const files: LtxFileInfo[] = [];
  for (let level = 0; level <= SNAPSHOT_LEVEL; level++) {
    for (const file of await listLevel(context, level)) files.push(file);
  }
  return files;
}

async function listLevel({ client, signal }: StepContext, level: number, seek?: TXID): Promise<LtxFileInfo[]> {
  const files: LtxFileInfo[] = [];
  for await (const file of client.ltxFiles(level, { seek, signal })) {
    signal?.throwIfAborted();
    files.push(file);
  }
  return files;
}

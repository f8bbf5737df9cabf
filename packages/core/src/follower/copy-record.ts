import type { LtxHeader, TXID } from '@litestream/ltx';
import type { LtxFileInfo } from '../storage/contract/contract.ts';
import { writeSidecar } from '../restore/write/sidecar.ts';
import { readRecordedPosition, targetRecordOf, writeTargetRecord } from '../restore/write/target-record.ts';
import type { TargetRecord } from '../restore/write/target-record.ts';
import { changeCountOf, nextCopyState } from './copy-state.ts';
import type { CopyEvent, CopyState } from './copy-state.ts';

/** What a copy holds, as far as is known, and the files beside it that say so to the next process. */
export class CopyRecord {
  readonly #path: string;
  #position: TXID;
  #target: TargetRecord | undefined;
  #state: CopyState;

  /** `position`: by the `-txid` file; undefined if there is none. */
  constructor(path: string, position: TXID | undefined) {
    this.#path = path;
    this.#position = position ?? 0n;
    this.#state =
      position === undefined
        ? { kind: 'diverged', reason: 'the copy was not followed before', changeCount: undefined }
        : { kind: 'uncertain' };
  }

  /** The transaction that the copy holds, unless the state says otherwise. */
  get position(): TXID {
    return this.#position;
  }

  /** What the copy was last to become: with another TXID than `position`, it may or may not be that. */
  get target(): TargetRecord | undefined {
    return this.#target;
  }

  /** No transaction after this one can be in the copy. */
  get highest(): TXID {
    const target = this.#target?.txid ?? 0n;
    return target > this.#position ? target : this.#position;
  }

  get state(): CopyState {
    return this.#state;
  }

  /** See `changeCountOf`. */
  get changeCount(): number | undefined {
    return changeCountOf(this.#state);
  }

  /** Why only a comparison of the whole database brings the copy further. */
  get divergence(): string | undefined {
    return this.#state.kind === 'diverged' ? this.#state.reason : undefined;
  }

  apply(event: CopyEvent): void {
    this.#state = nextCopyState(this.#state, event);
  }

  /** Reads the files beside the copy, inside its lock: another follower may have written them. */
  async readRecordedPosition(): Promise<void> {
    const { position, target, reason } = await readRecordedPosition(this.#path);
    if (reason === undefined) this.#position = position;
    else this.apply({ kind: 'diverged', reason });
    this.#target = target;
  }

  /** The copy is about to become what this file ends with. */
  async announce(file: LtxFileInfo, header: LtxHeader, isRebase: boolean): Promise<void> {
    const target = targetRecordOf(file, header, isRebase);
    await writeTargetRecord(this.#path, target);
    this.#target = target;
  }

  /** The copy holds this transaction now. */
  async arrive(txid: TXID): Promise<void> {
    await writeSidecar(this.#path, txid);
    this.#position = txid;
    this.apply({ kind: 'applied' });
  }
}

import { formatTxid } from '@litestream/ltx';
import { completeStep, nextStep, wholeStep } from './next-step.ts';
import type { CopyRecord } from './copy-record.ts';
import type { Step, StepContext } from './next-step.ts';
import { looksLikeOtherTimeline, otherTimelineReason } from './timeline-check.ts';

/** How often to list all levels although level 0 shows nothing new: its files may have been compacted away unseen. */
const COMPLETE_INTERVAL_MS = 60_000;
/** A replica that ends before the copy is believed when it was listed so this many times in a row. */
const AHEAD_COUNT_MAX = 2;

/** Finds what brings a copy further, with as few listings of the replica as that takes. */
export class StepSearch {
  readonly #record: CopyRecord;
  /** When all levels were last listed, by the monotonic clock. */
  #completeAtMs = Number.NEGATIVE_INFINITY;
  /** Listings in a row of which the replica ended before the copy. */
  #aheadCount = 0;

  constructor(record: CopyRecord) {
    this.#record = record;
  }

  /** A listed file was gone: the next search lists all levels. */
  expire(): void {
    this.#completeAtMs = Number.NEGATIVE_INFINITY;
  }

  /** The copy has reached what was found. */
  reached(): void {
    this.#aheadCount = 0;
  }

  /** For a copy that is current. */
  async next(context: StepContext): Promise<Step> {
    const { position } = this.#record;
    const isDue = performance.now() - this.#completeAtMs >= COMPLETE_INTERVAL_MS || this.#aheadCount > 0;
    if (!isDue) return await nextStep(context, position);
    const step = await completeStep(context, position);
    this.#completeAtMs = performance.now();
    return this.#minding(step, context);
  }

  /**
   * Inside the lock of the copy: it holds the transaction of its sidecar, or the one of its target, which this step reaches as
   * well.
   */
  async certain(context: StepContext): Promise<Step> {
    const record = this.#record;
    if (record.divergence === undefined) await record.readRecordedPosition();
    let reason = record.divergence;
    if (reason === undefined) {
      const step = await completeStep(context, record.position, record.highest);
      if (!('hasGap' in step) || !step.hasGap) return await this.#minding(step, context);
      reason = 'what the copy held when it was last followed may lie behind a gap';
    }
    return await wholeStep(context, reason, { kind: 'none', hasGap: true });
  }

  /** A replica that was reset is followed as it is now, but not by the first listing that says so. */
  async #minding(step: Step, context: StepContext): Promise<Step> {
    const { target, highest } = this.#record;
    if (step.kind !== 'ahead') {
      this.#aheadCount = 0;
      if (step.kind !== 'none' || target === undefined) return step;
      if (!looksLikeOtherTimeline(context, step.ending ?? [], target)) return step;
      const reason = await otherTimelineReason(context, target);
      return reason === undefined ? step : await wholeStep(context, reason, step);
    }
    context.logger.warn('follow: the replica ends before the copy', {
      'txid.replica': formatTxid(step.newest),
      'txid.copy': formatTxid(highest),
    });
    if (++this.#aheadCount < AHEAD_COUNT_MAX) return step;
    return await wholeStep(context, 'the replica was reset', step);
  }
}

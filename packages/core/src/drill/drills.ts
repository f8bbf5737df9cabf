/** The restore drills of one replica, and what they found. */
import { formatTxid } from '@litestream/ltx';
import type { Op, ReplicaClient } from '../storage/contract/contract.ts';
import type { Clock } from '../util/clock.ts';
import type { StagingPlace } from '../files/staging.ts';
import type { Logger } from '../util/logger.ts';
import { drill } from './drill.ts';
import type { DrillResult } from './drill.ts';

export interface DrillStatus {
  readonly succeeded: number;
  readonly failed: number;
  /** Of the last drill that succeeded. */
  readonly result: DrillResult | undefined;
  readonly succeededAt: Date | undefined;
  /** Why the last drill failed; undefined if it succeeded. */
  readonly error: unknown;
}

const NONE: DrillStatus = { succeeded: 0, failed: 0, result: undefined, succeededAt: undefined, error: undefined };

export interface DrillsOptions {
  /** Where the database is restored to. */
  readonly place: StagingPlace;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called after each drill that succeeded. Must not throw. */
  readonly onDrill?: ((result: DrillResult) => void) | undefined;
}

export class Drills {
  readonly #client: ReplicaClient;
  readonly #options: DrillsOptions;
  #status: DrillStatus | undefined;

  constructor(client: ReplicaClient, options: DrillsOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Undefined before the end of the first drill. */
  get status(): DrillStatus | undefined {
    return this.#status;
  }

  /** Rejects as `drill` does. An aborted drill does not change `status`. */
  async run(op: Op): Promise<DrillResult> {
    const { place, clock, logger, onDrill } = this.#options;
    const before = this.#status ?? NONE;
    try {
      const result = await drill(this.#client, place, op);
      const succeeded = before.succeeded + 1;
      this.#status = { ...before, succeeded, result, succeededAt: new Date(clock.now()), error: undefined };
      const { txid, isProven: proven, isRestored: restored, durationMs } = result;
      logger.info('restore drill succeeded', {
        txid: formatTxid(txid),
        proven,
        restored,
        duration: Math.round(durationMs),
      });
      onDrill?.(result);
      return result;
    } catch (error) {
      if (op.signal?.aborted !== true) this.#status = { ...before, failed: before.failed + 1, error };
      throw error;
    }
  }
}

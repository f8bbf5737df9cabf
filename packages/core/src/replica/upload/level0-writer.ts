/**
 * Creates level-0 files on a replica, and never replaces one. What stands in the way is compared: it is ours, of an attempt
 * whose answer was lost, or another process writes to the replica.
 */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { Body, LtxFileInfo, Op, ReplicaClient } from '../../storage/contract/contract.ts';
import { resolveCapabilities } from '../../storage/contract/capabilities.ts';
import { hasCode, LitestreamError } from '../../util/error.ts';
import type { Logger } from '../../util/logger.ts';
import { compareFile } from './same-file.ts';
import { uploadFile } from './upload-file.ts';

/** What the server is asked with is sent twice, so it has to be small. */
const PROBE_SIZE_MAX = 1 << 20;

/**
 * How another writer is kept from being overwritten. `condition`: the server refuses. `unknown`: it is asked to, and not
 * known to do so. `look`: it does not, so it is looked before each upload whether the file is there.
 */
type Protection = 'condition' | 'unknown' | 'look';

export interface Level0File {
  readonly txid: TXID;
  readonly timestamp: Date;
  readonly body: Body;
}

export class Level0Writer {
  readonly #client: ReplicaClient;
  readonly #logger: Logger;
  /** The server looks and then writes, and another process may be between. */
  readonly #isUnlocked: boolean;
  #protection: Protection;
  #isReported = false;

  constructor(client: ReplicaClient, logger: Logger) {
    this.#client = client;
    this.#logger = logger;
    const { conditionalCreate } = resolveCapabilities(client.capabilities);
    this.#isUnlocked = conditionalCreate === 'unlocked';
    this.#protection = conditionalCreate === true ? 'condition' : conditionalCreate === false ? 'look' : 'unknown';
  }

  /**
   * Resolves once the replica holds exactly this file. Rejects with `REPLICA_CONFLICT` if it holds another one of this
   * name, which is left as it is.
   */
  async create(file: Level0File, op: Op): Promise<void> {
    if (this.#isUnlocked) this.#warnOnce();
    if (this.#protection === 'condition') return await this.#createConditionally(file, op);
    const found = await compareFile(this.#client, file, op);
    if (found === 'other') throw conflictError(file.txid);
    if (found === 'same') return;
    if (this.#protection === 'unknown') return await this.#createAndProbe(file, op);
    this.#checkBeforeWrites();
    await this.#upload(file, op);
  }

  async #createConditionally(file: Level0File, op: Op): Promise<void> {
    try {
      await this.#upload(file, { ...op, ifNoneMatch: '*' });
    } catch (error) {
      if (!hasCode(error, 'PRECONDITION_FAILED')) throw error;
      const found = await compareFile(this.#client, file, op);
      if (found === 'other') throw conflictError(file.txid);
      if (found === 'absent') throw vanished(file.txid, error);
    }
  }

  /** It was just looked whether the file is there. */
  async #createAndProbe(file: Level0File, op: Op): Promise<void> {
    try {
      await this.#createConditionally(file, op);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      // If the condition was not what the server refused, this fails as well.
      await this.#upload(file, op);
      this.#checkBeforeWrites();
      return;
    }
    if ((file.body.size ?? Infinity) <= PROBE_SIZE_MAX) await this.#probe(file, op);
  }

  /** The file is there, and ours: to create it once more must be refused, and replaces it by the same bytes if it is not. */
  async #probe({ txid, timestamp, body }: Level0File, { signal }: Op): Promise<void> {
    const named = { level: 0, minTxid: txid, maxTxid: txid, timestamp };
    try {
      await this.#client.writeLtxFile(named, body, { signal, ifNoneMatch: '*' });
      this.#checkBeforeWrites();
    } catch (error) {
      if (hasCode(error, 'PRECONDITION_FAILED')) this.#protection = 'condition';
      else if (isRefusal(error)) this.#checkBeforeWrites();
      // It says nothing either way, and the file itself is safe: the next upload asks again.
      else this.#logger.debug('cannot tell whether the server keeps conditions', { error });
    }
  }

  #checkBeforeWrites(): void {
    this.#protection = 'look';
    this.#warnOnce();
  }

  #warnOnce(): void {
    if (this.#isReported) return;
    this.#isReported = true;
    this.#logger.warn(
      'this storage cannot create a file only if there is none: another process that replicates to the same place is ' +
        'noticed before an upload, but not during one, and one of two commits made at that moment can be lost',
    );
  }

  async #upload({ txid, timestamp, body }: Level0File, op: Op & { readonly ifNoneMatch?: '*' }): Promise<LtxFileInfo> {
    const file = { level: 0, minTxid: txid, maxTxid: txid, timestamp, body };
    return await uploadFile(this.#client, file, { ...op, logger: this.#logger });
  }
}

/** As servers word it that do not know the condition: 501, 400, or in words of their own. */
function isRefusal(error: unknown): boolean {
  return hasCode(error, 'UNSUPPORTED') || hasCode(error, 'INVALID_ARGUMENT') || hasCode(error, 'INTERNAL');
}

export function conflictError(txid: TXID): LitestreamError {
  return new LitestreamError(
    `another process writes to this replica: its file of TXID ${formatTxid(txid)} is not the one of this database`,
    {
      code: 'REPLICA_CONFLICT',
      operation: 'sync',
      hint: 'Nothing was overwritten. Give each running instance a replica path of its own, or stop one of the two.',
    },
  );
}

/** Deleted since, or the server's answers do not fit together yet. */
export function vanished(txid: TXID, cause?: unknown): LitestreamError {
  return new LitestreamError(`the file of TXID ${formatTxid(txid)} is said to be there, and is not`, {
    code: 'UNAVAILABLE',
    retryable: true,
    operation: 'sync',
    cause,
  });
}

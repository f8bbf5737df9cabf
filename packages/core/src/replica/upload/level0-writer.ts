/**
 * Creates level-0 files on a replica, and never replaces one. If a file of that name exists, it is compared: it is
 * ours, from an attempt whose answer was lost, or another process writes to the replica.
 */
import { formatTxid } from '@litestream/ltx';
import type { TXID } from '@litestream/ltx';
import type { Body, LtxFileInfo, Op, ReplicaClient } from '../../storage/contract/contract.ts';
import { resolveCapabilities } from '../../storage/contract/capabilities.ts';
import { hasCode, LitestreamError } from '../../util/error.ts';
import type { Logger } from '../../util/logger.ts';
import { compareFile } from './same-file.ts';
import { uploadFile } from './upload-file.ts';

/** The file with which the server is probed is uploaded twice, so it must be small. */
const PROBE_SIZE_MAX = 1 << 20;

/**
 * How files of another writer are protected. `condition`: the server refuses to overwrite them. `unknown`: it is asked
 * to refuse, but may ignore that. `look`: it does not refuse, so each upload first checks whether the file exists.
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
  /** The server checks and then writes, and another process may write in between. */
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

  /** Call this only if the file was just found to be absent. */
  async #createAndProbe(file: Level0File, op: Op): Promise<void> {
    try {
      await this.#createConditionally(file, op);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      // If the server refused something other than the condition, this fails as well.
      await this.#upload(file, op);
      this.#checkBeforeWrites();
      return;
    }
    if ((file.body.size ?? Infinity) <= PROBE_SIZE_MAX) await this.#probe(file, op);
  }

  /** The file exists, and is ours: creating it again must be refused; if not, it is replaced by the same bytes. */
  async #probe({ txid, timestamp, body }: Level0File, { signal }: Op): Promise<void> {
    const named = { level: 0, minTxid: txid, maxTxid: txid, timestamp };
    try {
      await this.#client.writeLtxFile(named, body, { signal, ifNoneMatch: '*' });
      this.#checkBeforeWrites();
    } catch (error) {
      if (hasCode(error, 'PRECONDITION_FAILED')) this.#protection = 'condition';
      else if (isRefusal(error)) this.#checkBeforeWrites();
      // The failure proves nothing, and the file itself is safe: the next upload probes again.
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

/** Errors of servers that do not support the condition: 501, 400, or their own codes. */
function isRefusal(error: unknown): boolean {
  return hasCode(error, 'UNSUPPORTED') || hasCode(error, 'INVALID_ARGUMENT') || hasCode(error, 'INTERNAL');
}

export function conflictError(txid: TXID): LitestreamError {
  return new LitestreamError(
    `another process writes to this replica: its file of TXID ${formatTxid(txid)} is not the one of this database`,
    {
      code: 'REPLICA_CONFLICT',
      operation: 'sync',
      hint: 'Nothing was overwritten. Give each running instance its own replica path, or stop one of the two.',
    },
  );
}

/** The file was deleted since, or the server is not consistent yet. */
export function vanished(txid: TXID, cause?: unknown): LitestreamError {
  return new LitestreamError(
    `the server reports that the file of TXID ${formatTxid(txid)} exists, but does not return it`,
    {
      code: 'UNAVAILABLE',
      retryable: true,
      operation: 'sync',
      cause,
    },
  );
}

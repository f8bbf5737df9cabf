/** A store over a replica in memory and a clock of its own, with a database of one page whose bytes are its last TXID. */
import type { LtxFileInfo, Op } from '../../src/storage/contract/contract.ts';
import type { LogFields, Logger } from '../../src/util/logger.ts';
import { planRestore } from '../../src/restore/plan/plan.ts';
import { Store } from '../../src/maintenance/store.ts';
import type { StoreOptions } from '../../src/maintenance/store.ts';
import { StoredReplica } from '../../src/maintenance/stored-replica.ts';
import type { StoredReplicaOptions } from '../../src/maintenance/stored-replica-options.ts';
import { MemoryClient } from '../../src/testing/memory-client.ts';
import { FakeClock, pagesOf, settle, store as storeFile } from '../store-support.ts';

export const LEVELS: readonly { level: number; intervalMs: number }[] = [
  { level: 1, intervalMs: 10_000 },
  { level: 2, intervalMs: 60_000 },
];

export class Lines implements Logger {
  readonly lines: string[] = [];
  trace(): void {}
  debug(message: string): void {
    this.lines.push(`DEBUG ${message}`);
  }
  info(message: string): void {
    this.lines.push(`INFO ${message}`);
  }
  warn(message: string, fields: LogFields = {}): void {
    this.lines.push(`WARN ${message} ${typeof fields['file'] === 'string' ? fields['file'] : ''}`.trim());
  }
  error(message: string): void {
    this.lines.push(`ERROR ${message}`);
  }
  child(): Logger {
    return this;
  }
}

/** A database of one page whose commits go straight to level 0. */
export class Rig {
  readonly clock = new FakeClock();
  readonly calls: string[] = [];
  failing = false;
  /** Awaited before each call on the backend. */
  pause: (operation: string) => Promise<void> | void = () => undefined;
  down = false;
  readonly client = new MemoryClient({
    before: (operation, object) => {
      this.calls.push(`${operation} ${object}`);
      if (this.failing) throw new Error('the backend is down');
      return this.pause(operation);
    },
  });
  readonly log = new Lines();
  readonly settings: StoredReplicaOptions;
  readonly stored: StoredReplica;
  readonly store: Store;
  readonly position = { txid: 0n };
  #committedAtMs = 0;

  constructor(options: Partial<StoredReplicaOptions> = {}) {
    this.settings = {
      levels: LEVELS,
      snapshotIntervalMs: 600_000,
      snapshotRetentionMs: 1_200_000,
      level0RetentionMs: 30_000,
      retentionEnabled: true,
      verifyCompaction: true,
      clock: this.clock,
      logger: this.log,
      ...options,
    };
    this.stored = this.newStored();
    this.store = this.newStore();
  }

  /** The replica as a process that was just started takes care of it. */
  newStored(): StoredReplica {
    const isDown = (): boolean => this.down;
    return new StoredReplica(
      {
        client: this.client,
        position: this.position,
        get isDown() {
          return isDown();
        },
        snapshot: (op?: Op) => this.#snapshot(op),
      },
      this.settings,
    );
  }

  newStore(options: StoreOptions = {}): Store {
    return new Store({ ...this.settings, level0CheckIntervalMs: 15_000, ...options });
  }

  get txid(): bigint {
    return this.position.txid;
  }

  async #snapshot(_op?: Op): Promise<LtxFileInfo> {
    const pages = new Map([[1, Number(this.txid & 255n)]]);
    const timestampMs = this.#committedAtMs;
    return await storeFile(this.client, { level: 9, minTxid: 1n, maxTxid: this.txid, pages, timestampMs });
  }

  async commit(): Promise<void> {
    const minTxid = this.txid + 1n;
    const pages = new Map([[1, Number(minTxid & 255n)]]);
    const timestampMs = Math.max(this.clock.now(), this.#committedAtMs + 1);
    await storeFile(this.client, { minTxid, pages, timestampMs });
    this.#committedAtMs = timestampMs;
    this.position.txid = minTxid;
    this.stored.uploaded();
    await settle();
  }

  async files(): Promise<LtxFileInfo[]> {
    const levels = Array.from({ length: 10 }, (_, level) => Array.fromAsync(this.client.ltxFiles(level)));
    return (await Promise.all(levels)).flat();
  }

  /** The transaction that a restore gives, proven by the page in the last file of its plan. */
  async restored(target: { readonly txid?: bigint; readonly timestamp?: Date } = {}): Promise<bigint> {
    const plan = await planRestore(this.client, { ...target, now: () => this.clock.now() });
    const last = plan.at(-1) as LtxFileInfo;
    const byte = (await pagesOf(this.client, last)).get(1);
    if (byte !== Number(last.maxTxid & 255n)) throw new Error(`TXID ${last.maxTxid} holds the page of ${byte}`);
    return last.maxTxid;
  }

  async ranges(level: number): Promise<string[]> {
    return (await Array.fromAsync(this.client.ltxFiles(level))).map(({ minTxid, maxTxid }) => `${minTxid}-${maxTxid}`);
  }
}

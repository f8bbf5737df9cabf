import { basename, dirname, join } from 'node:path';
import type { Logger } from '../util/logger.ts';
import { Listeners } from '../util/listeners.ts';
import { Mutex } from '../util/mutex.ts';
import { ChangeMarker } from '../files/change-marker.ts';
import { LocalLevels } from '../local-ltx/local-ltx.ts';
import type { LocalLtx } from '../local-ltx/local-ltx.ts';
import { Ledger } from '../ledger/ledger.ts';
import type { PageProof } from '../ledger/ledger.ts';
import { UploadBacklog } from './monitor/upload-backlog.ts';
import { TakeoverRecord } from './metadata/takeover-record.ts';
import { CommitTimes } from './session/commit-times.ts';
import { resolveDbOptions } from './session/options.ts';
import type { DbOptions, ResolvedDbOptions } from './session/options.ts';
import type { Checkpoint } from './status/db-status.ts';
import { SyncRecord } from './status/sync-record.ts';
import { DbPosition } from './db-position.ts';

/** What all work on one database shares, whether or not its file is open. Built once. */
export class DbContext {
  readonly path: string;
  readonly metaPath: string;
  readonly stagingPath: string | undefined;
  readonly options: ResolvedDbOptions;
  readonly logger: Logger;
  /** Held by all work that changes the position. */
  readonly mutex: Mutex = new Mutex();
  readonly position: DbPosition = new DbPosition();
  readonly checkpoints: Listeners<Checkpoint> = new Listeners<Checkpoint>();
  readonly proofs: Listeners<PageProof> = new Listeners<PageProof>();
  readonly levels: LocalLevels;
  readonly level0: LocalLtx;
  readonly times: CommitTimes;
  readonly ledger: Ledger;
  readonly record: SyncRecord;
  readonly takenOver: TakeoverRecord;
  readonly marker: ChangeMarker;
  readonly uploads: UploadBacklog = new UploadBacklog();

  constructor(path: string, options: DbOptions) {
    this.path = path;
    this.metaPath = options.metaPath ?? join(dirname(path), `.${basename(path)}-litestream`);
    this.stagingPath = options.stagingPath;
    this.options = resolveDbOptions(options);
    this.logger = this.options.logger.child({ db: basename(path) });
    this.levels = new LocalLevels(this.metaPath);
    this.level0 = this.levels.at(0);
    this.times = new CommitTimes(this.options.clock, this.logger);
    const onProof = (proof: PageProof): void => this.proofs.tell(proof);
    this.ledger = new Ledger({ metaPath: this.metaPath, level0: this.level0, logger: this.logger, onProof });
    this.record = new SyncRecord(this.options.clock);
    this.takenOver = new TakeoverRecord(this.metaPath);
    this.marker = new ChangeMarker(path);
  }
}

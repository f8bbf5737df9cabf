/** How many local files a replica is being sent, and has not confirmed; 0 while nothing is sent to it. */
export type FilesInFlight = () => number;

/**
 * While every replica has so many files to take, a further file would only wait: commits go into the next one instead. So a
 * replica that takes longer for a file than the sync interval gets larger files, and no backlog that grows without end.
 */
const FILES_IN_FLIGHT_MAX = 4;

/** What the replicas of one database say of their uploads. */
export class UploadBacklog {
  readonly #replicas = new Set<FilesInFlight>();

  /** Returns a function that removes the replica. */
  add(filesInFlight: FilesInFlight): () => void {
    this.#replicas.add(filesInFlight);
    return () => void this.#replicas.delete(filesInFlight);
  }

  /** No replica keeps up. False without replicas, and if one of them is sent nothing: it may be down. */
  get isFull(): boolean {
    if (this.#replicas.size === 0) return false;
    for (const filesInFlight of this.#replicas) if (filesInFlight() < FILES_IN_FLIGHT_MAX) return false;
    return true;
  }
}

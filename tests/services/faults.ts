export interface FaultResult {
  readonly name: string;
  /** What was done to the connection. */
  readonly what: string;
  /** Transactions the writer committed, all of them restored. */
  readonly transactions: number;
  readonly outcome: string;
}

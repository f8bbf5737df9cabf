export type TXID = bigint;

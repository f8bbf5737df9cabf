/** Where a call leaves what it answers beside its return value. */
export const RESULT: usize = memory.data(64, 16);

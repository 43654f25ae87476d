/** Highest level that compaction fills; the one above it holds snapshots. */
export const MAX_LEVEL = 8

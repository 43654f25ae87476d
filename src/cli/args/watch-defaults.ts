/** What each setting of a watched database is, if neither a flag nor the file says. As text, as people would type it. */
export const WATCH_DEFAULTS = {
  syncInterval: '1s',
  pollInterval: '1s',
  snapshotInterval: '24h',
  levels: '30s,5m,1h',
  prune: true,
  keepLevels: '5m,24h,7d',
  grace: '5m',
  verifyInterval: '0',
  maxWalSize: '64MB',
  maxSpoolSize: '1GB',
  lease: 'newest',
  fencing: true,
} as const

/** The same for the process as a whole. */
export const PROCESS_DEFAULTS = { shutdownTimeout: '30s', probe: true, status: true } as const

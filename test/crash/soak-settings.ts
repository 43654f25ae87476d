import type { TrackerOptions } from '../../src/core/engine/options.ts'

/** What the watcher of a soak is told beside names and paths. */
export const SOAK: Omit<TrackerOptions, 'name' | 'path'> = {
  syncIntervalMs: 20,
  pollIntervalMs: 100,
  levels: [500, 2000, 8000],
  retention: { levelKeepMs: [1500, 4000, 10_000], keepForMs: 20_000, minObjectAgeMs: 1000 },
  snapshots: { intervalMs: 6000 },
  maxWalBytes: 2 << 20,
}

/** The same for the one-shot commands beside it. */
export const PRUNE_FLAGS = [
  '--keep-levels',
  '2s,4s,10s',
  '--keep-for',
  '20s',
  '--min-object-age',
  '1s',
]
export const COMPACT_FLAGS = ['--levels', '1s,3s,9s']

/** A value that JSON can carry; TXIDs as decimal text. */
export function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, inner) => {
      if (typeof inner === 'bigint') return String(inner)
      return inner instanceof Error ? `${inner.stack} ${inner.cause ?? ''}` : inner
    }),
  )
}

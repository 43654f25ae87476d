/** What an object's key, relative to its database's prefix, says about it. */
export type LegacyKey =
  /** Copy of the database file. `takenAt`: when its upload began, in whole seconds. */
  | { readonly kind: 'snapshot'; readonly takenAt: Date }
  /** WAL frames. `uploadedAt`: when its upload began, just after the frames were read, in milliseconds. */
  | { readonly kind: 'segment'; readonly generation: number; readonly uploadedAt: Date }
  | { readonly kind: 'state' }

export const SNAPSHOT_FOLDER = 'snapshots/'
export const SEGMENT_FOLDER = 'wal/'
export const STATE_KEY = 'state.json'

const SNAPSHOT = /^snapshots\/(\d{14})\.db$/
const SEGMENT = /^wal\/(\d{8})-(\d{17})\.wal$/

/**
 * Reads a key as walsync 0.1 wrote it: `snapshots/<YYYYMMDDHHMMSS>.db`, `wal/<generation, 8
 * digits>-<YYYYMMDDHHMMSSmmm>.wal`, `state.json`; times are UTC. `undefined` for any other key,
 * including one with a time that does not exist.
 */
export function parseLegacyKey(key: string): LegacyKey | undefined {
  if (key === STATE_KEY) return { kind: 'state' }
  const [, second] = SNAPSHOT.exec(key) ?? []
  if (second !== undefined) {
    const takenAt = parseDigits(second)
    return takenAt && { kind: 'snapshot', takenAt }
  }
  const [, generation, millisecond] = SEGMENT.exec(key) ?? []
  if (generation === undefined || millisecond === undefined) return undefined
  const uploadedAt = parseDigits(millisecond)
  return uploadedAt && { kind: 'segment', generation: Number(generation), uploadedAt }
}

function parseDigits(digits: string): Date | undefined {
  const [, date, clock, ms = ''] = /^(\d{8})(\d{6})(\d{3})?$/.exec(digits) as unknown as string[]
  const iso = `${date?.replace(/(....)(..)(..)/, '$1-$2-$3')}T${clock?.replace(/(..)(..)(..)/, '$1:$2:$3')}.${ms.padEnd(3, '0')}Z`
  const time = new Date(iso)
  // JavaScript accepts 30 February.
  return !Number.isNaN(time.getTime()) && time.toISOString() === iso ? time : undefined
}

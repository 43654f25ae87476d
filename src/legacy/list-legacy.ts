import {
  type CallOptions,
  isStoreError,
  type ObjectInfo,
  type ObjectStore,
} from '../core/store/index.ts'
import { parseLegacyKey, SEGMENT_FOLDER, SNAPSHOT_FOLDER, STATE_KEY } from './legacy-keys.ts'

interface LegacyObject {
  /** Relative to the database's prefix. */
  readonly key: string
  /** In bytes. */
  readonly size: number
  /**
   * When its upload ended, by the store's clock: often whole seconds, rounded down. For a folder the
   * modification time, which a faithful copy of a bucket keeps.
   */
  readonly storedAt: Date
}

/** A copy of the database file alone, without its WAL. */
export interface LegacySnapshot extends LegacyObject {
  /** When its upload began, by the writer's clock, in whole seconds. */
  readonly takenAt: Date
}

/** Frames added to the WAL since the previous segment. */
export interface LegacySegment extends LegacyObject {
  /** How often walsync 0.1 had noticed a shorter WAL; restarted at 0 whenever it lost its state. */
  readonly generation: number
  /** When its upload began, by the writer's clock. */
  readonly uploadedAt: Date
}

/** What walsync 0.1 recorded after each segment: how far it had got. */
export interface LegacyState {
  readonly generation: number
  /** Position in the WAL up to which it was uploaded, in bytes. */
  readonly offset: number
  /** When its upload ended: right after that of the segment. */
  readonly storedAt: Date
}

/** One database as walsync 0.1 stored it, based on names and sizes alone. */
export interface LegacyReplica {
  /** Oldest first. */
  readonly snapshots: readonly LegacySnapshot[]
  /**
   * By `uploadedAt`. Generations give no order: they restarted at 0 whenever the state could not be
   * read.
   */
  readonly segments: readonly LegacySegment[]
}

/**
 * Lists a database of walsync 0.1 with two listings. Objects with other names are ignored.
 *
 * @param store rooted at the database's prefix
 * @throws StoreError
 */
export async function listLegacy(
  store: ObjectStore,
  options: CallOptions = {},
): Promise<LegacyReplica> {
  const snapshots: LegacySnapshot[] = []
  const segments: LegacySegment[] = []
  for (const prefix of [SNAPSHOT_FOLDER, SEGMENT_FOLDER]) {
    for await (const object of store.list({ prefix, signal: options.signal })) {
      const parsed = parseLegacyKey(object.key)
      if (parsed?.kind === 'snapshot') {
        snapshots.push({ ...factsOf(object), takenAt: parsed.takenAt })
      } else if (parsed?.kind === 'segment') {
        const { generation, uploadedAt } = parsed
        segments.push({ ...factsOf(object), generation, uploadedAt })
      }
    }
  }
  return {
    snapshots: snapshots.sort((a, b) => a.takenAt.getTime() - b.takenAt.getTime()),
    segments: segments.sort(
      (a, b) => a.uploadedAt.getTime() - b.uploadedAt.getTime() || a.generation - b.generation,
    ),
  }
}

/**
 * Reads `state.json`; `undefined` if it does not exist or is not valid.
 *
 * @throws StoreError
 */
export async function readLegacyState(
  store: ObjectStore,
  options: CallOptions = {},
): Promise<LegacyState | undefined> {
  let text = ''
  let storedAt: Date
  try {
    const { info, body } = await store.get(STATE_KEY, options)
    ;({ storedAt } = factsOf(info))
    const decoder = new TextDecoder()
    for await (const chunk of body) {
      text += decoder.decode(chunk, { stream: true })
      if (text.length > MAX_STATE_CHARACTERS) return undefined
    }
  } catch (error) {
    if (isStoreError(error) && error.code === 'NotFound') return undefined
    throw error
  }
  const state = parseState(text)
  return state && { ...state, storedAt }
}

/** A real one has about 100. */
const MAX_STATE_CHARACTERS = 64 * 1024

function parseState(text: string): Omit<LegacyState, 'storedAt'> | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { wal_generation: generation, wal_offset: offset } = value as Record<string, unknown>
  if (!Number.isSafeInteger(generation) || !Number.isSafeInteger(offset)) return undefined
  return { generation: generation as number, offset: offset as number }
}

function factsOf({ key, size, createdAt, lastModified }: ObjectInfo): LegacyObject {
  return { key, size, storedAt: createdAt ?? lastModified }
}

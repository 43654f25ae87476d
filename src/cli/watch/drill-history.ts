import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { durableWrite } from '../../core/fs/index.ts'
import { jsonLine } from '../output/json-line.ts'
import type { FleetEvent } from './fleet-event.ts'
import type { WatchedDatabase } from './watched-database.ts'

/** What came of one restore drill, for `status`, metrics and the page. */
export interface DrillRecord {
  /** When it ended, RFC 3339. */
  readonly time: string
  readonly passed: boolean
  /** What it failed by; empty if it passed. */
  readonly failures: readonly string[]
  /** TXID of the restored state, 16 hexadecimal digits; this and what follows is absent if none came out. */
  readonly txid?: string | undefined
  /** Size of the database. */
  readonly bytes?: number | undefined
  /** What the restore took, in milliseconds. */
  readonly ms?: number | undefined
  /** How old the restored state was, in milliseconds. */
  readonly ageMs?: number | undefined
}

/** Drills kept of one database. */
const KEPT = 20
/** Failures kept of one drill, and characters of each. */
const MAX_FAILURES = 10
const MAX_TEXT = 500

const record = z.object({
  time: z.iso.datetime(),
  passed: z.boolean(),
  failures: z.array(z.string()),
  txid: z.string().optional(),
  bytes: z.number().optional(),
  ms: z.number().optional(),
  ageMs: z.number().optional(),
})
const document = z.object({ version: z.literal(1), drills: z.array(record) })

/**
 * The last drills of each database. They survive a restart in a file next to the database, which is
 * written after each drill; where it cannot be written they last as long as the process.
 */
export class DrillHistory {
  readonly #onUnwritable: (database: string, error: Error) => void
  readonly #histories = new Map<string, { readonly path: string; drills: readonly DrillRecord[] }>()
  #writing: Promise<void> = Promise.resolve()

  /** @param onUnwritable called each time a history could not be written */
  constructor(onUnwritable: (database: string, error: Error) => void) {
    this.#onUnwritable = onUnwritable
  }

  /**
   * Reads the history of a database from earlier processes, unless it is already known or no drills
   * are requested.
   */
  open({ name, path, replica, settings }: WatchedDatabase): void {
    const file = drillFile(path, replica)
    if (settings.drill.intervalMs === 0) this.#histories.delete(name)
    else if (this.#histories.get(name)?.path !== file) {
      this.#histories.set(name, { path: file, drills: read(file) })
    }
  }

  /** The drills of a database, newest first. */
  of(name: string): readonly DrillRecord[] {
    return this.#histories.get(name)?.drills ?? []
  }

  /** The drills of all databases, newest first. */
  all(): readonly (DrillRecord & { readonly database: string })[] {
    return [...this.#histories]
      .flatMap(([database, { drills }]) => drills.map((drill) => ({ database, ...drill })))
      .sort((a, b) => (a.time > b.time ? -1 : 1))
  }

  /** When a database had its last drill, in milliseconds since 1970; 0 if that failed, so that the next one follows soon. */
  lastDrillAt(name: string): number | undefined {
    const [last] = this.of(name)
    if (last === undefined) return undefined
    return last.passed ? Date.parse(last.time) : 0
  }

  /** Takes note of a drill; other events mean nothing to it. */
  note(event: FleetEvent, now: Date): void {
    const history = this.#histories.get(event.database)
    if (history === undefined) return
    if (event.type !== 'drill-passed' && event.type !== 'drill-failed') return
    history.drills = [recordOf(event, now), ...history.drills].slice(0, KEPT)
    const text = jsonLine({ version: 1, drills: history.drills })
    this.#writing = this.#writing
      .then(() => durableWrite(history.path, [Buffer.from(text)], { mode: 0o600 }))
      .then(
        () => undefined,
        (error: Error) => this.#onUnwritable(event.database, error),
      )
  }

  /** Resolves when everything noted is written, or could not be. */
  async settled(): Promise<void> {
    await this.#writing
  }
}

/** The file of a database that goes into one replica: another process may keep another replica of it. */
function drillFile(database: string, replica: string): string {
  const id = createHash('sha256').update(replica).digest('hex').slice(0, 12)
  return join(dirname(database), `.${basename(database)}-walsync-${id}.drills.json`)
}

/** Nothing if the file does not exist or cannot be read: the next drill rewrites it. */
function read(path: string): readonly DrillRecord[] {
  try {
    return document.parse(JSON.parse(readFileSync(path, 'utf8'))).drills.slice(0, KEPT)
  } catch {
    return []
  }
}

function recordOf(
  event: FleetEvent & { readonly type: 'drill-passed' | 'drill-failed' },
  now: Date,
): DrillRecord {
  const { txid, bytes, ms, ageMs } = event
  const failures = event.type === 'drill-failed' ? event.failures : []
  return {
    time: now.toISOString(),
    passed: event.type === 'drill-passed',
    failures: failures.slice(0, MAX_FAILURES).map((text) => text.slice(0, MAX_TEXT)),
    txid: txid?.toString(16).padStart(16, '0'),
    bytes,
    ms,
    ageMs,
  }
}

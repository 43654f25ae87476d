import type { FleetEvent } from '../../../src/cli/watch/fleet-event.ts'
import type { FleetStatus } from '../../../src/cli/watch/fleet-status.ts'
import type { WatchPlan } from '../../../src/cli/watch/watch-plan.ts'
import type { WatchRun } from '../../../src/cli/watch/watch-run.ts'
import { txid } from '../../../src/core/ltx/index.ts'
import type { LtxFileInfo } from '../../../src/core/replica/replica-client.ts'

/** A watch of many databases that are only said to be there; every 100th fails, every 50th waits. */
export class FakeRun {
  databases: readonly FleetStatus[]
  isStarted = true
  readonly plan: Partial<WatchPlan>
  #listener: (event: FleetEvent, now: Date) => void = () => undefined

  constructor(count: number, plan: Partial<WatchPlan> = {}, now = Date.now()) {
    this.plan = { config: undefined, shutdownTimeoutMs: 1000, ...plan }
    this.databases = Array.from({ length: count }, (_, i) => fakeDatabase(i, now))
  }

  readonly fleet = { status: () => this.databases }

  requests = () => ({ check: 1, put: 1234, get: 40, head: 2, list: 7, delete: 30, deleteMany: 1 })

  onEvent(listener: (event: FleetEvent, now: Date) => void): () => void {
    this.#listener = listener
    return () => {
      this.#listener = () => undefined
    }
  }

  drills() {
    return this.databases.flatMap(({ name: database, lastDrill }) =>
      lastDrill === undefined ? [] : [{ database, ...lastDrill }],
    )
  }

  emit(event: FleetEvent): void {
    this.#listener(event, new Date())
  }

  files(name: string): readonly LtxFileInfo[] | undefined {
    if (!this.databases.some((database) => database.name === name)) return undefined
    const snapshot = file(9, 1, 1, 4_000_000)
    return [snapshot, ...Array.from({ length: 60 }, (_, i) => file(0, i + 2, i + 2, 9000 + i))]
  }

  storeOf(): string {
    return 's3://backups'
  }

  asRun(): WatchRun {
    return this as unknown as WatchRun
  }
}

const DRILL = {
  time: '2026-01-01T12:00:00.000Z',
  passed: true,
  failures: [],
  txid: '00000000000003e8',
  bytes: 4_000_000,
  ms: 1500,
  ageMs: 0,
}

function fakeDatabase(i: number, now: number): FleetStatus {
  const name = i === 0 ? 'app' : `tenant-${String(i).padStart(4, '0')}`
  const path = `/srv/data/${name}.db`
  const replica = `s3://backups/${name}`
  const isFailing = i % 100 === 42
  if (i % 50 === 25)
    return { name, path, replica, state: 'waiting', reason: 'there is no file yet' }
  return {
    name,
    path,
    replica,
    state: 'replicating',
    lastDrill: i === 0 ? DRILL : undefined,
    engine: {
      name,
      path,
      state: 'replicating',
      isOpen: true,
      txid: txid(1000 + i),
      lastSyncAt: new Date(now - i * 1000),
      pendingFiles: isFailing ? 1 : 0,
      walBytes: 4_120_032,
      spoolBytes: 0,
      lastError: isFailing ? 'The store s3://backups does not answer.' : undefined,
      errorSince: isFailing ? new Date(now - 60_000) : undefined,
      waitingSince: undefined,
      lagMs: isFailing ? 61_000 : 0,
      replicaFiles: 61,
      replicaBytes: 4_540_000,
      restorable: undefined,
    },
  }
}

function file(level: number, min: number, max: number, size: number): LtxFileInfo {
  const createdAt = new Date(Date.UTC(2026, 0, 1, 12, 0, max))
  return {
    level,
    minTxid: txid(min),
    maxTxid: txid(max),
    size,
    createdAt,
    lastModified: createdAt,
  } as LtxFileInfo
}

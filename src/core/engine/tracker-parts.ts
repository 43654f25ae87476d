import { formatTxid, type LtxHeader } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import type { ReplicaLayout } from '../replica/replica-layout.ts'
import type { CreateOnlyCheck } from '../replica/writer-claim/create-only-check.ts'
import type { ObjectStore } from '../store/index.ts'
import { DatabaseAccess } from './database-access.ts'
import { type EngineEvent, FencedError } from './events.ts'
import { SnapshotPolicy } from './snapshots/snapshot-policy.ts'
import { DEFAULT_SNAPSHOT_TRIGGERS } from './snapshots/snapshot-triggers.ts'
import { TrackedDatabase } from './tracked-database.ts'
import { TrackerJournal } from './tracker-journal.ts'
import type { DatabaseStatus, TrackerContext, TrackerOptions } from './tracker-options.ts'
import { ReplicaUpkeep, restorableOf } from './upkeep/replica-upkeep.ts'
import { claimOf } from './upload/claim-of.ts'
import { ReplicaWriter } from './upload/replica-writer.ts'
import type { PendingFile } from './upload/shipper.ts'
import { spoolOf } from './upload/spool.ts'

export interface TrackerSetup {
  /** Rooted at the replica's prefix. */
  readonly store: ObjectStore
  readonly layout: ReplicaLayout
  readonly options: TrackerOptions
  readonly context: TrackerContext
  readonly createOnlyCheck: CreateOnlyCheck | undefined
}

export interface TrackerHooks {
  /** Something has changed; look again. */
  readonly wake: () => void
  /** A file of level 0 is in the store. */
  readonly onShipped: () => void
}

/** What one tracker works with. */
export interface TrackerParts {
  readonly journal: TrackerJournal
  readonly policy: SnapshotPolicy
  readonly writer: ReplicaWriter
  readonly upkeep: ReplicaUpkeep
  readonly access: DatabaseAccess
  readonly status: () => DatabaseStatus
  /** Everything is in the store and nothing more will be written: the next writer need not fence this one. */
  readonly release: (signal: AbortSignal) => Promise<void>
}

/** Puts the parts of one tracker together, so that each is told what it needs of the others. */
export function trackerParts(setup: TrackerSetup, { wake, onShipped }: TrackerHooks): TrackerParts {
  const { store, layout, options, context, createOnlyCheck } = setup
  const { name, path, pollIntervalMs: pollMs = 1000, syncIntervalMs: syncMs = 1000 } = options
  const { residency, folders, failing } = context
  const journal = new TrackerJournal(name, context.onEvent, failing)
  const onEvent = (event: EngineEvent) => {
    // What waited for a store longer than the uploads do is tried again with them.
    if (event.type === 'store-recovered') {
      access.tracked?.snapshots.storeAnswers()
      upkeep.storeAnswers()
    }
    journal.tell(event)
  }
  const claim = claimOf(store, options, context, createOnlyCheck)
  const onStored = (file: LtxFileInfo) => upkeep.catalogue.add(file)
  const triggers = options.snapshots ?? DEFAULT_SNAPSHOT_TRIGGERS
  const policy = new SnapshotPolicy(store, layout, triggers, onStored)

  const hooks = {
    onShipped: (file: PendingFile, bytes: number) => {
      if (file.uncaptured !== undefined) access.tracked?.source.capture.advance(file.uncaptured)
      policy.shipped(file.pages, bytes, Date.now())
      onShipped()
      journal.synced(file, bytes)
    },
    onTaken: async (file: PendingFile, found: LtxHeader, signal: AbortSignal) => {
      const database = access.tracked
      if (database !== undefined) return await database.adopt(file.txid, found, signal)
      const message = `Another writer has taken over the replica of ${name}.`
      throw new FencedError('TakenOver', name, formatTxid(file.txid), message)
    },
    onEvent,
    wake,
    failing: () => failing.size,
  }
  const identity = { ...context, claim }
  const writer = new ReplicaWriter(name, store, layout, spoolOf(options), identity, hooks, onStored)
  const upkeep = new ReplicaUpkeep({
    options,
    context,
    onEvent,
    client: writer.client,
    nodeId: () => claim?.nodeId ?? context.nodeId,
    assertCurrent: async (signal) => await claim?.assertCurrent(signal),
    protectedSlots: async (signal) => (await claim?.protectedSlots(signal)) ?? [],
    stored: () => journal.shipped,
    onListed: (files) => {
      if (policy.judge(files, true)) journal.chainBroken()
    },
    wake,
  })
  const tracked = {
    ...context,
    name,
    writer,
    policy,
    maxWalBytes: options.maxWalBytes ?? 64 << 20,
    onEvent,
    onListed: (files: readonly LtxFileInfo[]) => upkeep.observe(files),
  }
  const access = new DatabaseAccess({
    path,
    syncMs,
    pollMs,
    residency,
    folders,
    wake,
    track: (source, known) => new TrackedDatabase(source, tracked, known),
  })
  const parts = { journal, policy, writer, upkeep, access }
  const release = async (signal: AbortSignal) => {
    try {
      await claim?.release(signal)
    } catch (error) {
      onEvent({ type: 'not-released', database: name, epoch: claim?.epoch ?? 0, error })
    }
  }
  return { ...parts, release, status: () => statusOf(options, parts, Date.now()) }
}

function statusOf(
  { name, path }: TrackerOptions,
  { journal, writer, access, upkeep }: Omit<TrackerParts, 'status' | 'release'>,
  now: number,
): DatabaseStatus {
  const { summary } = journal
  const { pending } = writer.shipper
  const oldest = pending[0]?.noticedAt ?? access.pace?.noticedAt(now) ?? now
  return {
    ...summary,
    name,
    path,
    state: summary.state === 'replicating' && pending.length > 1 ? 'behind' : summary.state,
    isOpen: access.tracked !== undefined,
    pendingFiles: pending.length,
    walBytes: access.tracked?.source.capture.walBytes() ?? 0,
    spoolBytes: writer.spool.bytes,
    lagMs: now - oldest,
    replicaFiles: upkeep.catalogue.count,
    replicaBytes: upkeep.catalogue.bytes,
    restorable: restorableOf(upkeep.catalogue),
  }
}

import {
  type DatabaseView,
  type PageImage,
  readChange,
  readView,
  type SourceDatabase,
  type WalChange,
} from '../../db/index.ts'
import { DurableWriteError } from '../../fs/index.ts'
import { type LtxHeader, lockPage, nextTxid, type TXID, txid as toTxid } from '../../ltx/index.ts'
import { type LtxFileInfo, ReplicaClient } from '../../replica/replica-client.ts'
import { type ReplicaHead, readReplicaHead } from '../../replica/replica-head.ts'
import { type ReplicaLayout, SNAPSHOT_LEVEL } from '../../replica/replica-layout.ts'
import {
  type ContentionDecision,
  decideContention,
  epochOf,
} from '../../replica/writer-claim/claim-rules.ts'
import type { EpochClaim } from '../../replica/writer-claim/writer-claim.ts'
import type { ObjectStore } from '../../store/index.ts'
import type { DatabaseSums, StagedSums } from '../capture/database-sums.ts'
import {
  changeFile,
  fileBytes,
  fullFile,
  type LtxFile,
  pagesFile,
  type Stamp,
} from '../capture/ltx-file.ts'
import type { EngineEvent } from '../events.ts'
import {
  bytesOfPending,
  type PendingFile,
  type SpooledFile,
  setSpooled,
  toPendingFile,
} from './pending-file.ts'
import { Shipper, type ShipperHooks } from './shipper.ts'
import { recoverSpool, type Spool } from './spool.ts'

/** Databases up to this many bytes are encoded in memory and stored with one plain put. */
const MEMORY_BASE_BYTES = 8 << 20

/** Identity of the writer. */
export interface WriterIdentity {
  /** 32 bits that identify this process: the NodeID of a writer without a claim. */
  readonly nodeId: bigint
  readonly bootId: number
  /** Without one this writer fences nobody. */
  readonly claim?: EpochClaim | undefined
}

export interface BaseResult {
  readonly txid: TXID
  readonly pages: number
  readonly bytes: number
}

/**
 * Numbers, stamps and queues the files of one replica. Knows the newest TXID in the store and the
 * newest one assigned; every file is stored create-only in its own slot.
 */
export class ReplicaWriter {
  readonly client: ReplicaClient
  readonly shipper: Shipper
  readonly spool: Spool
  readonly claim: EpochClaim | undefined
  readonly #database: string
  readonly #writer: WriterIdentity
  readonly #onEvent: (event: EngineEvent) => void
  readonly #now: () => number
  #captured: TXID | undefined
  #lastTimestamp = 0
  /** Checksums of the state at `#captured`; while `undefined`, files carry no checksum. */
  #sums: DatabaseSums | undefined
  /** Page size of the newest file, in bytes. */
  #pageSize: number | undefined

  constructor(
    database: string,
    store: ObjectStore,
    layout: ReplicaLayout,
    spool: Spool,
    writer: WriterIdentity,
    hooks: ShipperHooks,
    onStored?: (file: LtxFileInfo) => void,
  ) {
    this.#database = database
    this.#writer = writer
    this.claim = writer.claim
    this.client = new ReplicaClient(store, layout, { onStored })
    const onShipped: ShipperHooks['onShipped'] = async (file, bytes, signal) => {
      await hooks.onShipped(file, bytes, signal)
      // If it cannot be removed because the disk has become read-only, the next start removes it:
      // its TXID is already in the replica.
      if (file.spooled !== undefined) await spool.remove(file.spooled).catch(() => {})
      await this.#recordStored(file.header, signal)
    }
    this.shipper = new Shipper(database, this.client, { ...hooks, onShipped }, this.claim)
    this.spool = spool
    this.#onEvent = hooks.onEvent
    this.#now = hooks.now
  }

  /** Newest assigned TXID, shipped or pending. */
  get captured(): TXID | undefined {
    return this.#captured
  }

  /** Is the checksum of the database at `captured` known? */
  get hasSums(): boolean {
    return this.#sums !== undefined
  }

  /** Sets the checksums of the database at `captured` after it was read in another way. */
  learnSums(sums: DatabaseSums): void {
    this.#sums = sums.canBeKept ? sums : undefined
  }

  /** Newest TXID in the store. */
  get shipped(): TXID | undefined {
    const pending = BigInt(this.shipper.pending.length)
    const shipped = (this.#captured ?? 0n) - pending
    return shipped > 0n ? toTxid(shipped) : undefined
  }

  /** Older writers may be running, and no stored or pending file of this writer fences them. */
  get mustFence(): boolean {
    return (this.claim?.unfenced ?? 0) > 0 && this.shipper.pending.length === 0
  }

  /** Time of the next file: now, but never before the last file. */
  stamp(): Stamp {
    this.#lastTimestamp = Math.max(this.#lastTimestamp + 1, this.#now())
    const { bootId, nodeId } = this.#writer
    return { timestamp: this.#lastTimestamp, nodeId: this.claim?.nodeId ?? nodeId, bootId }
  }

  /** What to do about another writer's file in the next slot. */
  decideContention({ nodeId }: LtxHeader): ContentionDecision {
    return decideContention(this.claim?.epoch ?? 0, epochOf(nodeId))
  }

  /**
   * Finds the end of the replica: its newest file, or the newest file in the spool of an earlier
   * process that continues it. The next file follows it. Claims the replica the first time.
   *
   * @throws StoreError, FencedError
   */
  async locate(signal?: AbortSignal): Promise<ReplicaHead> {
    const head = await this.look(signal)
    const spooled = this.shipper.pending.length > 0 ? undefined : await this.#recoverSpool(head)
    const newest = spooled ?? head
    this.#continueAfter(newest)
    return newest
  }

  /** Finds the newest file in the store. Claims the replica the first time. @throws as `locate` */
  async look(signal: AbortSignal | undefined): Promise<ReplicaHead> {
    const { claim } = this
    if (claim === undefined) return await readReplicaHead(this.client, { signal })
    const before = claim.epoch
    for (;;) {
      const lookedAt = claim.now()
      const head = await readReplicaHead(this.client, { signal })
      if (!(await claim.acquire(head, lookedAt, signal))) continue
      const { epoch } = claim
      if (before === undefined && epoch !== undefined) {
        this.#onEvent({ type: 'claimed', database: this.#database, epoch })
      }
      return head
    }
  }

  /** The next file follows this end of the replica. */
  #continueAfter({ txid, header }: ReplicaHead): void {
    this.#captured = txid
    this.#sums = undefined
    this.#pageSize = header?.pageSize
    this.#lastTimestamp = Math.max(this.#lastTimestamp, header?.timestamp ?? 0)
  }

  /** Assigns a TXID to a change and queues it. A large one stays in the WAL until it is shipped. */
  queue(source: SourceDatabase, change: WalChange, noticedAt: number): PendingFile {
    const staged = this.#stage(source, change)
    const pending = toPendingFile(this.#changeFile(source, change, staged), change, noticedAt)
    if (pending.uncaptured === undefined) source.capture.advance(change)
    this.#add(pending, staged)
    return pending
  }

  /** Assigns a TXID to a change and moves it from the WAL into memory. */
  queueInMemory(source: SourceDatabase, change: WalChange, noticedAt: number): void {
    const staged = this.#stage(source, change)
    const file = this.#changeFile(source, change, staged)
    const { header, pages } = file
    this.#add({ txid: header.maxTxid, header, pages, noticedAt, body: fileBytes(file) }, staged)
    source.capture.advance(change)
  }

  /** Assigns a TXID to pages that were found to have changed and queues them. */
  queuePages(source: SourceDatabase, view: DatabaseView, changed: readonly PageImage[]): void {
    if (this.#captured === undefined) throw new TypeError('a change needs a base before it')
    const txid = nextTxid(this.#captured)
    const staged = this.#sums?.stage(view.commit, changed, changed.length)
    const checksums = this.#checksums(staged)
    const file = pagesFile(source, view, changed, txid, this.stamp(), checksums)
    const { header, pages } = file
    this.#add({ txid, header, pages, noticedAt: this.#now(), body: fileBytes(file) }, staged)
  }

  /**
   * Queues a file that changes nothing: page 1 as it is. It occupies the slot that an older writer
   * would write next, and a later start can resume from its header as from any other. Everything
   * under the read mark must have been captured.
   */
  async queueFenceFile(source: SourceDatabase): Promise<void> {
    const view = await source.capture.view()
    for (const { pgno, data } of readView(source, view, lockPage(source.pageSize))) {
      // Copied because the bytes of a view are only valid until the next page is read.
      return this.queuePages(source, view, [{ pgno, data: new Uint8Array(data) }])
    }
    throw new TypeError('a replica that was resumed has at least one page')
  }

  /** Assigns a TXID to a change and moves it from the WAL into the spool. */
  async queueInSpool(source: SourceDatabase, change: WalChange, noticedAt: number): Promise<TXID> {
    const staged = this.#stage(source, change)
    const file = this.#changeFile(source, change, staged)
    const { header, pages } = file
    const pending: PendingFile = { txid: header.maxTxid, header, pages, noticedAt, body: file }
    setSpooled(pending, await this.spool.add(pending.txid, file.open() as Iterable<Uint8Array>))
    this.#add(pending, staged)
    source.capture.advance(change)
    return pending.txid
  }

  /**
   * Moves all pending files into the spool. Uploads continue in the meantime, because a spool that
   * cannot be written must not block them. An upload that reads from the WAL is restarted from the
   * spool.
   *
   * @throws DurableWriteError
   */
  async spoolPending(source: SourceDatabase): Promise<void> {
    for (const file of [...this.shipper.pending]) {
      if (file.spooled !== undefined || !this.shipper.pending.includes(file)) continue
      const spooled = await this.spool.add(file.txid, bytesOfPending(file))
      if (!this.shipper.pending.includes(file)) {
        await this.spool.remove(spooled)
        continue
      }
      const { uncaptured } = file
      setSpooled(file, spooled)
      if (uncaptured === undefined) continue
      source.capture.advance(uncaptured)
      await this.shipper.interrupt(new Error('the file has moved to the spool'))
    }
  }

  /**
   * Drops all pending files: the replica continues after `head` without them. A later start would
   * mistake a file left in the spool for the next one, and overwrite newer pages with older ones.
   */
  async forgetPending(head: ReplicaHead): Promise<void> {
    for (const { spooled } of this.shipper.pending) {
      if (spooled !== undefined) await this.spool.remove(spooled)
    }
    this.shipper.drop()
    this.#continueAfter(head)
  }

  /**
   * Moves pending files out of the WAL before it is closed: into the spool, because only large ones
   * are still there, or into memory if the spool cannot take them.
   */
  async releaseWal(source: SourceDatabase): Promise<void> {
    for (const file of [...this.shipper.pending]) {
      if (file.uncaptured === undefined) continue
      await this.shipper.interrupt(new Error('the WAL is being closed'))
      const { uncaptured } = file
      // The upload ended before it could be interrupted.
      if (uncaptured === undefined || !this.shipper.pending.includes(file)) continue
      const spooled = await this.#spooled(file)
      if (spooled !== undefined) setSpooled(file, spooled)
      else file.body = Buffer.concat([...bytesOfPending(file)])
      source.capture.advance(uncaptured)
      file.uncaptured = undefined
    }
  }

  /**
   * Stores the view that the capture has just pinned: as a snapshot if it is the replica's first
   * file, otherwise as the next level-0 file, in the slot that any other writer would need too. If
   * the page size has changed, also stores a snapshot, because one restore cannot mix page sizes.
   *
   * @throws StoreError `AlreadyExists` if the slot is taken
   * @throws FencedError
   */
  async putBase(
    source: SourceDatabase,
    view: DatabaseView,
    signal?: AbortSignal,
  ): Promise<BaseResult> {
    const first = this.#captured === undefined
    const txid = this.#captured === undefined ? toTxid(1) : nextTxid(this.#captured)
    const stamp = this.stamp()
    const before = this.#sums?.value
    const file = fullFile(source, view, { minTxid: txid, maxTxid: txid }, stamp, undefined, before)
    const bytes = await this.#putFull(first ? SNAPSHOT_LEVEL : 0, file, signal)
    await this.#recordStored(file.header, signal)
    if (!first && this.#pageSize !== undefined && this.#pageSize !== source.pageSize) {
      const txids = { minTxid: toTxid(1), maxTxid: txid }
      await this.#putFull(SNAPSHOT_LEVEL, fullFile(source, view, txids, stamp), signal)
    }
    this.#captured = txid
    const sums = file.sums()
    this.#sums = sums?.canBeKept === true ? sums : undefined
    this.#pageSize = source.pageSize
    return { txid, pages: file.pages, bytes }
  }

  async #putFull(level: number, file: LtxFile, signal?: AbortSignal): Promise<number> {
    const { minTxid, maxTxid, timestamp, commit, pageSize } = file.header
    const body = commit * pageSize <= MEMORY_BASE_BYTES ? fileBytes(file) : file
    const options = { createdAt: new Date(timestamp), signal }
    const put = () => this.client.put(level, minTxid, maxTxid, body, options)
    return (await (this.claim?.guard(put, signal) ?? put())).size
  }

  /** A file is in the store. This writer's first file fences the older writers. */
  async #recordStored(
    { nodeId, maxTxid }: LtxHeader,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { claim } = this
    if (claim?.epoch === undefined || nodeId !== claim.nodeId) return
    const taken = await claim.recordStored(maxTxid, signal)
    if (taken === undefined) return
    const { slot: txid, from, holder } = taken
    const { host, pid, startedAt: since } = holder ?? {}
    const { epoch } = claim
    const who = { from, host, pid, since }
    this.#onEvent({ type: 'took-over', database: this.#database, txid, epoch, ...who })
  }

  /** Adds a file to the spool; `undefined` if the spool is full or cannot be written. */
  async #spooled(file: PendingFile): Promise<SpooledFile | undefined> {
    const { bytes, maxBytes } = this.spool
    if (bytes + file.pages * file.header.pageSize > maxBytes) return undefined
    try {
      return await this.spool.add(file.txid, bytesOfPending(file))
    } catch (error) {
      if (error instanceof DurableWriteError) return undefined
      throw error
    }
  }

  /**
   * Reads the change once in addition to shipping it, because the checksums after it must be known
   * before the next change.
   */
  #stage(source: SourceDatabase, change: WalChange): StagedSums | undefined {
    const { wal, pageSize } = source
    const pages = readChange(change, wal, pageSize, lockPage(pageSize))
    return this.#sums?.stage(change.commit, pages, change.pages.size)
  }

  #checksums(staged: StagedSums | undefined) {
    return staged && { before: this.#sums?.value, after: staged.value }
  }

  #changeFile(source: SourceDatabase, change: WalChange, staged?: StagedSums): LtxFile {
    if (this.#captured === undefined) throw new TypeError('a change needs a base before it')
    const txid = nextTxid(this.#captured)
    return changeFile(source, change, txid, this.stamp(), this.#checksums(staged))
  }

  /** A TXID counts as assigned once its file is queued: one lost to a full disk would be a gap. */
  #add(file: PendingFile, staged: StagedSums | undefined): void {
    this.shipper.add(file)
    if (staged !== undefined) this.#sums?.apply(staged)
    this.#captured = file.txid
  }

  async #recoverSpool(head: ReplicaHead): Promise<ReplicaHead | undefined> {
    const { files, unused } = await recoverSpool(this.spool, head)
    if (unused !== undefined) {
      const path = await this.spool.setAside(this.#now())
      this.#onEvent({ type: 'spool-ignored', database: this.#database, path, reason: unused })
    }
    const last = files.at(-1)
    if (last === undefined) return undefined
    for (const file of files) this.shipper.add(file)
    this.#onEvent({ type: 'spool-recovered', database: this.#database, files: files.length })
    return { ...head, txid: last.txid, header: last.header, newest: undefined }
  }
}

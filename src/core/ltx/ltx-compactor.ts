import { EMPTY_DATABASE_CHECKSUM, pageHash, toggleChecksum } from './checksum.ts'
import type { DatabaseChecksums } from './checksum-note.ts'
import { InputCursor } from './input-cursor.ts'
import { lockPage } from './lock-page.ts'
import { LtxEncoder } from './ltx-encoder.ts'
import { LtxError } from './ltx-error.ts'
import { FLAG_NO_CHECKSUM, isSnapshot, type LtxHeader } from './ltx-header.ts'
import type { LtxEncoding, LtxPage } from './page-frame.ts'
import { formatTxid } from './txid.ts'

export interface CompactLtxOptions {
  /** Default `block`. */
  readonly encoding?: LtxEncoding | undefined
  /** Of the output, in milliseconds since the Unix epoch. Default: that of the last input. */
  readonly timestamp?: number | undefined
  /** Of the output. Default 0. */
  readonly nodeId?: bigint | undefined
  /** Checked around every read; the inputs should observe the same signal. */
  readonly signal?: AbortSignal | undefined
  /** Accept gaps and full overlap between the TXID ranges of neighbours. Default false. */
  readonly allowNonContiguous?: boolean | undefined
}

/**
 * Merges LTX files, oldest first, into one that has the same effect. The output has no WAL position
 * and no WAL mark. It carries the checksums of the database before the first input and after the
 * last if the inputs do. A snapshot's pages must match the checksum, and each input must start from
 * the state that the previous one leaves, unless it holds the whole database.
 *
 * A page counts only if no later input shrinks the database below it. If the inputs shrink the
 * database and grow it again, every page above the smallest size must therefore be among them (for
 * a snapshot, every page): otherwise a restore would bring back stale content.
 *
 * Inputs are verified while they are read, to their end, so an error may come after most of the
 * output: discard the output unless the generator completes. All inputs are always closed. Holds
 * one chunk and up to 8 MiB of pages per input.
 *
 * Throws `NotContiguous`, `PageSizeMismatch`, `MissingPage`, `MixedHistories`, `Unencodable` if
 * the result is an empty database, `InvalidArgument` without inputs, and whatever decoding an input
 * throws.
 */
export async function* compactLtx(
  inputs: readonly AsyncIterable<Uint8Array>[],
  options: CompactLtxOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  if (inputs.length === 0) {
    throw new LtxError('InvalidArgument', 'Expected at least one LTX file to compact.')
  }
  const cursors = inputs.map((input, index) => new InputCursor(input, index + 1, options.signal))
  try {
    const headers: LtxHeader[] = []
    for (const cursor of cursors) headers.push(await cursor.open())
    checkNeighbours(headers, options.allowNonContiguous ?? false)
    const encoder = new LtxEncoder(outputHeader(headers, options), { encoding: options.encoding })
    const growth = new GrowthCheck(headers)
    const whole = isSnapshot(headers[0]!)
    let sum = EMPTY_DATABASE_CHECKSUM
    for await (const { pgno, data } of mergePages(cursors, aliveLimits(headers))) {
      growth.accept(pgno)
      encoder.encodePage(pgno, data)
      if (whole) sum = toggleChecksum(sum, pageHash(pgno, data))
      yield* encoder.drain()
    }
    growth.complete()
    checkHistory(headers, cursors)
    const checksums = outputChecksums(cursors)
    if (whole && checksums !== undefined && checksums.after !== sum) throw mixed(headers)
    encoder.finish(undefined, checksums)
    yield* encoder.drain()
  } finally {
    // What was read has been verified or discarded: an error on close cannot change that.
    await Promise.allSettled(cursors.map((cursor) => cursor.close()))
  }
}

function checkNeighbours(headers: readonly LtxHeader[], allowNonContiguous: boolean): void {
  for (const [index, next] of headers.entries()) {
    const previous = headers[index - 1]
    if (previous === undefined) continue
    if (previous.pageSize !== next.pageSize) {
      throw new LtxError(
        'PageSizeMismatch',
        `The page size changes from ${previous.pageSize} to ${next.pageSize} bytes at TXID ${formatTxid(next.minTxid)}.`,
      )
    }
    const contiguous = next.minTxid <= previous.maxTxid + 1n && next.maxTxid > previous.maxTxid
    if (!contiguous && !allowNonContiguous) {
      throw new LtxError('NotContiguous', `${range(next)} does not continue ${range(previous)}.`)
    }
  }
}

function outputHeader(headers: readonly LtxHeader[], options: CompactLtxOptions): LtxHeader {
  const first = headers[0]!
  const last = headers.at(-1)!
  return {
    flags: FLAG_NO_CHECKSUM,
    pageSize: first.pageSize,
    commit: last.commit,
    minTxid: first.minTxid,
    maxTxid: last.maxTxid,
    timestamp: options.timestamp ?? last.timestamp,
    preApplyChecksum: 0n,
    walOffset: 0,
    walSize: 0,
    walSalt1: 0,
    walSalt2: 0,
    nodeId: options.nodeId ?? 0n,
  }
}

/** Known once all inputs have been read to their ends. */
function outputChecksums(cursors: readonly InputCursor[]): DatabaseChecksums | undefined {
  const after = cursors.at(-1)!.checksums?.after
  return after === undefined ? undefined : { before: cursors[0]!.checksums?.before, after }
}

/**
 * An input that starts from another state than the previous one leaves belongs to another history.
 */
function checkHistory(headers: readonly LtxHeader[], cursors: readonly InputCursor[]): void {
  for (const [index, next] of headers.entries()) {
    const previous = headers[index - 1]
    if (previous === undefined || next.minTxid !== previous.maxTxid + 1n) continue
    if (cursors[index]!.pageCount === pagesOfAll(next)) continue
    const left = cursors[index - 1]!.checksums?.after
    const expected = cursors[index]!.checksums?.before
    if (left === undefined || expected === undefined || left === expected) continue
    throw new LtxError(
      'MixedHistories',
      `${range(next)} does not start from the state of the database that ${range(previous)} ends with.`,
    )
  }
}

/** Of the whole database: the lock page is in no file. */
function pagesOfAll({ commit, pageSize }: LtxHeader): number {
  return commit >= lockPage(pageSize) ? commit - 1 : commit
}

function mixed(headers: readonly LtxHeader[]): LtxError {
  const end = formatTxid(headers.at(-1)!.maxTxid)
  return new LtxError(
    'MixedHistories',
    `The files together do not result in the database of TXID ${end}: its checksum is different.`,
  )
}

/** For each input, the highest page that no later input truncates. */
function aliveLimits(headers: readonly LtxHeader[]): number[] {
  const limits: number[] = []
  let limit = Number.POSITIVE_INFINITY
  for (const header of headers.toReversed()) {
    limits.unshift(limit)
    limit = Math.min(limit, header.commit)
  }
  return limits
}

async function* mergePages(
  cursors: readonly InputCursor[],
  limits: readonly number[],
): AsyncGenerator<LtxPage, void, undefined> {
  for (;;) {
    let newest: LtxPage | undefined
    let limit = 0
    for (let index = 0; index < cursors.length; index++) {
      const page = cursors[index]!.page
      if (page !== undefined && (newest === undefined || page.pgno <= newest.pgno)) {
        newest = page
        limit = limits[index]!
      }
    }
    if (newest === undefined) return
    // Limits never fall from input to input: if the newest version is cut off, so are all others.
    if (newest.pgno <= limit) yield newest
    for (const cursor of cursors) {
      if (cursor.page?.pgno !== newest.pgno) continue
      const waiting = cursor.advance()
      if (waiting !== undefined) await waiting
    }
  }
}

/** Requires every page between the smallest database size among the inputs and the final size. */
class GrowthCheck {
  readonly #commit: number
  readonly #lockPage: number
  #expected: number

  constructor(headers: readonly LtxHeader[]) {
    const smallest = Math.min(...headers.map((header) => header.commit))
    this.#commit = headers.at(-1)!.commit
    this.#lockPage = lockPage(headers[0]!.pageSize)
    this.#expected = this.#skipLockPage((isSnapshot(headers[0]!) ? 0 : smallest) + 1)
  }

  accept(pgno: number): void {
    if (pgno < this.#expected) return
    if (pgno > this.#expected) throw this.#missing()
    this.#expected = this.#skipLockPage(pgno + 1)
  }

  complete(): void {
    if (this.#expected <= this.#commit) throw this.#missing()
  }

  #skipLockPage(pgno: number): number {
    return pgno === this.#lockPage ? pgno + 1 : pgno
  }

  #missing(): LtxError {
    return new LtxError(
      'MissingPage',
      `The database has ${this.#commit} pages, but no file contains the current page ${this.#expected}.`,
    )
  }
}

function range(header: LtxHeader): string {
  return `${formatTxid(header.minTxid)}-${formatTxid(header.maxTxid)}`
}

import type { FileHandle } from 'node:fs/promises'
import { PageWriter } from '../core/restore/page-writer.ts'
import { type ObjectStore, StoreError } from '../core/store/index.ts'
import { WAL_FRAME_HEADER_SIZE, walFrameSize } from '../core/wal/index.ts'
import { FrameCutter, pageContent } from './frame-chain.ts'
import type { LegacySnapshot } from './list-legacy.ts'
import type { LegacyPlan } from './plan-legacy.ts'
import type { ReadHistoryOptions } from './read-history.ts'
import { readObjects } from './read-objects.ts'
import type { AppliedRun, RunSpan } from './wal-run.ts'

/**
 * Executes a plan on an empty file: writes the snapshot, then the frames of each run in order. A
 * commit that shrinks the database truncates the file.
 *
 * @returns The size of the database, in bytes.
 * @throws StoreError; `Corrupted` if an object is not what it was when the plan was made
 */
export async function applyLegacyPlan(
  store: ObjectStore,
  { base, runs }: LegacyPlan,
  handle: FileHandle,
  options: ReadHistoryOptions,
): Promise<number> {
  let size = base === undefined ? 0 : await writeSnapshot(store, base, handle, options)
  const [first] = runs
  if (first === undefined) return size
  const { pageSize } = first.run.header
  const writer = new PageWriter(handle, pageSize)
  try {
    for await (const { pgno, commit, page } of framesOf(store, runs, options)) {
      await writer.write(pgno, page)
      if (commit === 0) continue
      if (commit * pageSize < size) {
        await writer.drain()
        await handle.truncate(commit * pageSize)
      }
      size = commit * pageSize
    }
    await writer.drain()
  } finally {
    await writer.settle()
  }
  // Also extends the file: if the last page is the lock page, no frame contains it.
  await handle.truncate(size)
  return size
}

async function writeSnapshot(
  store: ObjectStore,
  base: LegacySnapshot,
  handle: FileHandle,
  options: ReadHistoryOptions,
): Promise<number> {
  for await (const { bytes, start } of readObjects(store, [base], options)) {
    options.onBytes?.(bytes.length)
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, start + done)
      done += bytesWritten
    }
  }
  return base.size
}

interface ReplayedFrame {
  readonly pgno: number
  readonly commit: number
  /** Valid until the next frame is requested. */
  readonly page: Uint8Array
}

/** The frames of the runs in order, each compared with what it was when the plan was made. */
async function* framesOf(
  store: ObjectStore,
  runs: readonly AppliedRun[],
  options: ReadHistoryOptions,
): AsyncGenerator<ReplayedFrame, void, void> {
  const parts = runs.flatMap(({ run, frames }) =>
    run.spans.filter(({ position }) => position < frames).map((span) => partOf(span, frames)),
  )
  let cutter = new FrameCutter(0)
  let index = 0
  for await (const { object, bytes, start } of readObjects(store, parts, options)) {
    options.onBytes?.(bytes.length)
    const { chain, part } = object
    if (start === part.start) {
      cutter = new FrameCutter(walFrameSize(chain.pageSize))
      index = object.from
    }
    for (const frame of cutter.cut(bytes)) {
      const page = frame.bytes.subarray(
        frame.at + WAL_FRAME_HEADER_SIZE,
        frame.at + walFrameSize(chain.pageSize),
      )
      if (pageContent(page) !== chain.contents[index]) throw changed(object.key)
      yield { pgno: chain.pgnos[index] as number, commit: chain.commits[index] as number, page }
      index++
    }
  }
}

/** The bytes of those frames of a span that are among the first `frames` of its run. */
function partOf({ chain, from, length, position }: RunSpan, frames: number) {
  const { key, size } = chain.segment
  const frameSize = walFrameSize(chain.pageSize)
  const start = (chain.at + from) * frameSize
  const part = { start, end: start + Math.min(length, frames - position) * frameSize }
  return { key, size, part, chain, from }
}

function changed(key: string): StoreError {
  const message = `The object ${key} has changed since it was first read.`
  return new StoreError('Corrupted', message, {
    op: 'get',
    key,
    hint: 'Make sure that nothing writes to this replica, and try again.',
  })
}

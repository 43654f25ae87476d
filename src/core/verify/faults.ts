import { LTX_HEADER_SIZE, LTX_TRAILER_SIZE, type TXID } from '../ltx/index.ts'
import { PAGE_HEADER_SIZE } from '../ltx/page-frame.ts'
import { PAGE_INDEX_LENGTH_SIZE } from '../ltx/page-index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { SNAPSHOT_LEVEL } from '../replica/replica-layout.ts'
import { summarizeReplica, type TxidRange } from '../replica/summarize-replica.ts'
import { lastTxid } from '../restore/reachable-states.ts'
import type { ChainStep } from '../restore/restore-plan.ts'
import { type FileFacts, misfit } from './file-facts.ts'
import type { Defect, DefectCode } from './verify-report.ts'

/** A fault of an object, before its cost is determined. */
export interface Fault {
  readonly code: DefectCode
  readonly key: string
  readonly message: string
}

/** Missing TXIDs. Nothing from `from` on can be restored. */
export interface Hole extends TxidRange {
  readonly code: DefectCode
  readonly message: string
}

/**
 * Header, the zeros that end the pages, an empty index, trailer: a file that only shrinks its
 * database.
 */
const SMALLEST_FILE =
  LTX_HEADER_SIZE + PAGE_HEADER_SIZE + 1 + PAGE_INDEX_LENGTH_SIZE + LTX_TRAILER_SIZE

/** Objects that cannot be LTX files because of their size. */
export function sizeFaults(files: readonly LtxFileInfo[]): Fault[] {
  return files
    .filter(({ size }) => size < SMALLEST_FILE)
    .map(({ key, size }) =>
      size === 0
        ? { code: 'Empty', key, message: `The object ${key} is empty.` }
        : {
            code: 'TooSmall',
            key,
            message: `The object ${key} has only ${size} bytes; an LTX file has at least ${SMALLEST_FILE}.`,
          },
    )
}

/**
 * Objects whose TXIDs are inside another object of their level. A restore can use them.
 *
 * At level 0 two writers were at work. At a level above, two compactions were, such as a watcher's and that of
 * `walsync compact`: such an object is redundant and no defect, unless it holds another state than the outer one.
 *
 * @param files by level, then first TXID, then last TXID
 */
export function overlaps(
  files: readonly LtxFileInfo[],
  facts: ReadonlyMap<string, FileFacts>,
): { readonly faults: readonly Fault[]; readonly redundant: number } {
  const faults: Fault[] = []
  let redundant = 0
  let outer: LtxFileInfo | undefined
  for (const file of files) {
    if (file.level === SNAPSHOT_LEVEL) continue
    if (outer?.level !== file.level || file.maxTxid > outer.maxTxid) {
      outer = file
    } else if (differ(facts.get(file.key), facts.get(outer.key))) {
      const message = `The object ${file.key} holds another state of the database than ${outer.key}, which has the same TXIDs and more: two writers were active.`
      faults.push({ code: 'Overlap', key: file.key, message })
    } else if (file.level === 0) {
      const message = `The object ${file.key} covers only TXIDs of ${outer.key} in the same level: two writers were active, or one that did not know its own last object.`
      faults.push({ code: 'Overlap', key: file.key, message })
    } else {
      redundant++
    }
  }
  return { faults, redundant }
}

/** Do two objects that begin or end together have different checksums of the database there? */
function differ(a: FileFacts | undefined, b: FileFacts | undefined): boolean {
  if (a === undefined || b === undefined) return false
  const unlike = (one: bigint | undefined, other: bigint | undefined): boolean =>
    one !== undefined && other !== undefined && one !== other
  return (
    (a.minTxid === b.minTxid && unlike(a.checksums?.before, b.checksums?.before)) ||
    (a.maxTxid === b.maxTxid && unlike(a.checksums?.after, b.checksums?.after))
  )
}

/**
 * TXIDs that no file holds.
 *
 * @param files at least one
 * @param atLeast a TXID that is known to have been stored
 */
export function holes(files: readonly LtxFileInfo[], atLeast: TXID | undefined): Hole[] {
  const found = summarizeReplica(files).gaps.map((gap): Hole => {
    const message = `No file holds ${range(gap)}, so nothing from there on can be restored.`
    if (gap.from !== 1n) return { ...gap, code: 'Gap', message }
    return { ...gap, code: 'NoBase', message: `No file starts at TXID 1. ${message}` }
  })
  const last = lastTxid(files)
  if (atLeast === undefined || atLeast <= last) return found
  const end = { from: (last + 1n) as TXID, to: atLeast }
  const message = `The replica ends at TXID ${last}; ${range(end)} are known to have been stored after it.`
  return [...found, { ...end, code: 'EndMissing', message }]
}

function range({ from, to }: TxidRange): string {
  return from === to ? `TXID ${from}` : `TXIDs ${from} to ${to}`
}

/** Keys of the objects that a restore cannot use, or cannot apply where they belong. */
export function unusableObjects(defects: readonly Pick<Defect, 'code' | 'key'>[]): string[] {
  return defects.flatMap(({ code, key }) => {
    return key === undefined || code === 'Overlap' || code === 'WrongTime' ? [] : [key]
  })
}

/** Some file systems have a time resolution of two seconds. */
const TIME_TOLERANCE_MS = 2000

/** Intact files that a restore would not apply after the file before them. */
export function misfits(
  steps: readonly ChainStep[],
  facts: ReadonlyMap<string, FileFacts>,
): Fault[] {
  const faults: Fault[] = []
  for (const { file, previous } of steps) {
    const own = facts.get(file.key)
    const before = previous && facts.get(previous.file.key)
    if (own === undefined || before === undefined) continue
    const code = misfit(own, before)
    if (code === undefined) continue
    const messages = {
      PageSizeChange: `The object ${file.key} has pages of ${own.pageSize} bytes, but ${previous?.file.key}, the object before it, has pages of ${before.pageSize}.`,
      MissingPages: `In ${file.key} the database grows from ${before.commit} to ${own.commit} pages, but the object has only those from ${own.tailFrom} on.`,
      ChecksumMismatch: `The object ${file.key} does not start from the state of the database that ${previous?.file.key}, the object before it, ends with.`,
    }
    faults.push({ code, key: file.key, message: messages[code] })
  }
  return faults
}

/**
 * Objects whose listed time differs from their header's, as one fault, because a copy of a whole
 * folder changes them all.
 */
export function wrongTimes(
  files: readonly LtxFileInfo[],
  facts: ReadonlyMap<string, FileFacts>,
): Fault[] {
  const wrong = files.filter(({ key, createdAt }) => {
    const own = facts.get(key)
    if (own === undefined || createdAt === undefined) return false
    return Math.abs(createdAt.getTime() - own.timestamp) > TIME_TOLERANCE_MS
  })
  const [first] = wrong
  if (first === undefined) return []
  const { key } = first
  const whose =
    wrong.length === 1
      ? `1 object carries another time than its header, ${key}`
      : `${wrong.length} objects carry another time than their header, ${key} first`
  const message = `${whose}: a restore to a time may choose the wrong state; --txid is exact.`
  return [{ code: 'WrongTime', key, message }]
}

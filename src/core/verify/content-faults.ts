import type { LtxFileInfo } from '../replica/replica-client.ts'
import type { ChainStep } from '../restore/restore-plan.ts'
import { type FileFacts, misfit } from './file-facts.ts'
import type { Fault } from './listing-faults.ts'

/** Some file systems keep modification times in steps of two seconds. */
const TIME_TOLERANCE_MS = 2000

/** Good files that a restore would refuse to put onto the file before them. */
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
      PageSizeChange: `The object ${file.key} has pages of ${own.pageSize} bytes, ${previous?.file.key} before it of ${before.pageSize}.`,
      MissingPages: `The object ${file.key} makes the database grow from ${before.commit} to ${own.commit} pages and has only those from ${own.tailFrom} on.`,
      ChecksumMismatch: `The object ${file.key} changes another state of the database than ${previous?.file.key} before it leaves.`,
    }
    faults.push({ code, key: file.key, message: messages[code] })
  }
  return faults
}

/** Objects whose listed time is not that of their header, as one fault: a copy of a whole folder changes them all. */
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
  const message = `${whose}: a restore to a time may choose another state than the one meant; --txid is exact.`
  return [{ code: 'WrongTime', key, message }]
}

import { z } from 'zod'
import { parseTxidTarget, type RestoreTarget } from '../../core/restore/restore-target.ts'
import { flag, parseFlags, required, settings } from '../args/flags.ts'
import { fileMode, owner, text } from '../args/kinds.ts'
import { UsageError } from '../args/usage-error.ts'

const restoreFlags = z.object({
  bucket: required('bucket'),
  ...settings('integrityCheck', 'parallelism'),
  output: flag(text('a file, or a folder with --all', 'path')),
  all: z.boolean().optional(),
  pointInTime: flag(text('a time', 'time')).optional(),
  timestamp: flag(text('a time', 'time')).optional(),
  txid: flag(text('a TXID', 'txid')).optional(),
  force: z.boolean().optional(),
  ifMissing: z.boolean().optional(),
  ifReplicaExists: z.boolean().optional(),
  mode: flag(fileMode()).optional(),
  owner: flag(owner()).optional(),
  dryRun: z.boolean().optional(),
})

/** The flags of `restore`, and the state that they ask for. */
export interface RestoreFlags extends z.output<typeof restoreFlags> {
  readonly target: RestoreTarget
}

/**
 * Reads the flags of `restore` before anything is opened.
 *
 * @throws UsageError for a wrong flag, and for two that contradict each other
 * @throws RestoreError `InvalidTarget` for a time or a TXID that cannot be understood
 */
export async function parseRestoreFlags(
  raw: Readonly<Record<string, unknown>>,
): Promise<RestoreFlags> {
  const flags = parseFlags(restoreFlags, raw)
  if (flags.force === true && flags.ifMissing === true) {
    throw new UsageError(
      '--force and --if-missing contradict each other.',
      'Give --force to replace the file, or --if-missing to keep it.',
    )
  }
  if (flags.all === true && flags.txid !== undefined) {
    throw new UsageError(
      '--txid is a transaction of one database, and --all restores every database.',
      'Give --timestamp for the state of all of them at one time, or restore one database by its name.',
    )
  }
  if (flags.all !== true) assertFileName(flags.output)
  return { ...flags, target: await targetOf(flags) }
}

function assertFileName(output: string): void {
  if (output === '-') {
    throw new UsageError(
      'A database cannot be restored to stdout.',
      'Give a file with --output; ./- is one of that name.',
    )
  }
  if (!output.endsWith('/')) return
  throw new UsageError(
    `--output got ${JSON.stringify(output)}, which is a folder.`,
    'Add the name of the file to it; only --all restores into a folder.',
  )
}

async function targetOf({
  pointInTime,
  timestamp,
  txid,
}: Pick<RestoreFlags, 'pointInTime' | 'timestamp' | 'txid'>): Promise<RestoreTarget> {
  const given = Object.entries({
    '--point-in-time': pointInTime,
    '--timestamp': timestamp,
    '--txid': txid,
  })
  const [first, second] = given.flatMap(([name, value]) => (value === undefined ? [] : [name]))
  if (second !== undefined) {
    throw new UsageError(`${first} and ${second} name two targets.`, 'Give one of them.')
  }
  const time = pointInTime ?? timestamp
  if (time !== undefined) {
    const { parsePointInTime } = await import('../../core/restore/point-in-time.ts')
    return parsePointInTime(time)
  }
  return txid === undefined ? { kind: 'latest' } : parseTxidTarget(txid)
}

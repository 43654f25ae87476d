import { z } from 'zod'
import { type TakenSnapshot, takeSnapshot } from '../../core/engine/index.ts'
import { nameDatabases } from '../args/database-names.ts'
import { flag, parseFlags, required, settings } from '../args/flags.ts'
import { replicaName } from '../args/kinds.ts'
import type { CommandContext } from '../command-context.ts'
import { replicaStore } from '../composition/open-store.ts'
import { formatBytes } from '../output/format.ts'
import { createProgress } from '../output/progress.ts'

const snapshotFlags = z.object({
  bucket: required('bucket'),
  ...settings('fencing'),
  name: flag(replicaName()).optional(),
})

/** `walsync snapshot`: takes one full copy of a database now, even next to a running `watch`. */
export async function snapshot(
  context: CommandContext,
  paths: readonly string[],
  rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const flags = parseFlags(snapshotFlags, rawFlags)
  const { cwd, output, signal } = context
  const [database] = nameDatabases(paths, { cwd, name: flags.name })
  if (database === undefined) throw new TypeError('Expected the path of a database.')
  const { name, prefix, path } = database
  const opened = await context.openStore(flags.bucket, { signal, create: true })
  const progress = createProgress('snapshot', context.terminal)
  let taken: TakenSnapshot
  try {
    const store = replicaStore(opened, prefix, flags.fencing)
    taken = await takeSnapshot(name, path, store, opened.layout, {
      signal,
      onProgress: ({ pagesRead, pagesTotal }) => progress.update(pagesRead, pagesTotal),
    })
  } finally {
    progress.stop()
  }
  const txid = taken.txid.toString()
  const text = taken.skipped
    ? `${name}: a snapshot of this very state already exists, TXID ${txid}`
    : `${name}: snapshot stored, TXID ${txid}, ${formatBytes(taken.bytes)}`
  output.result({ name, path, ...taken }, text)
  return 0
}

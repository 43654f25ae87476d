import { hostname } from 'node:os'
import { z } from 'zod'
import { claimState } from '../../core/replica/writer-claim/claim-rules.ts'
import { listEpochs, readClaim, writeUnlock } from '../../core/replica/writer-claim/claim-store.ts'
import { describeHolder } from '../../core/replica/writer-claim/fenced-error.ts'
import { RestoreError } from '../../core/restore/restore-error.ts'
import type { ObjectStore } from '../../core/store/index.ts'
import { parseFlags, required } from '../args/flags.ts'
import { prefixOf } from '../args/replica-names.ts'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { replicaStore } from '../composition/open-store.ts'
import { noReplica } from './no-replica.ts'

const unlockFlags = z.object({ bucket: required('bucket') })

/** A claim that no longer keeps strict writers off. */
interface Unlocked {
  readonly epoch: number
  readonly host?: string | undefined
  readonly pid?: number | undefined
  readonly startedAt?: Date | undefined
}

/**
 * `walsync unlock`: lets a strict writer begin over claims that were never released. A writer that
 * is alive after all is not told; the next one fences it as any other.
 *
 * @returns 0, also where no claim stands
 */
export async function unlock(
  context: CommandContext,
  operands: readonly string[],
  rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const flags = parseFlags(unlockFlags, rawFlags)
  const { output, signal } = context
  const [name] = operands
  if (name === undefined) throw new UsageError('No replica was named.', 'give its name')
  const opened = await context.openStore(flags.bucket, { signal, create: false })
  const store = replicaStore(opened, prefixOf(name))
  const objects = await listEpochs(store, { signal })
  if (objects.length === 0 && (await isEmpty(store, signal))) {
    const cause = new RestoreError('NoReplica', `There is nothing under ${store.description}.`)
    throw await noReplica(cause, name, opened, signal)
  }
  const unlocked: Unlocked[] = []
  const lines: string[] = []
  for (const epoch of claimState(objects).locked) {
    const claim = await readClaim(store, epoch, { signal })
    await writeUnlock(store, { epoch, at: new Date(), host: hostname() }, { signal })
    const { host, pid, startedAt } = claim ?? {}
    unlocked.push({ epoch, host, pid, startedAt })
    lines.push(`${name}: unlocked ${describeHolder(epoch, claim)}`)
  }
  const text = lines.length === 0 ? `${name}: no claim stands` : lines.join('\n')
  output.result({ name, unlocked }, text)
  return 0
}

async function isEmpty(store: ObjectStore, signal: AbortSignal): Promise<boolean> {
  for await (const _object of store.list({ signal })) return false
  return true
}

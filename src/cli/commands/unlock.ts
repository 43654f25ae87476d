import { hostname } from 'node:os'
import { z } from 'zod'
import { claimState } from '../../core/replica/writer-claim/claim-rules.ts'
import { listEpochs, readClaim, writeUnlock } from '../../core/replica/writer-claim/claim-store.ts'
import { describeHolder } from '../../core/replica/writer-claim/fenced-error.ts'
import { parseFlags, required } from '../args/flags.ts'
import { prefixOf } from '../args/replica-names.ts'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import { replicaStore } from '../composition/open-store.ts'
import { assertReplicas } from './no-replica.ts'

const unlockFlags = z.object({ bucket: required('bucket') })

/** A claim that no longer keeps strict writers off. */
interface Unlocked {
  readonly epoch: number
  readonly host?: string | undefined
  readonly pid?: number | undefined
  readonly startedAt?: Date | undefined
}

/**
 * `walsync unlock`: lets a strict writer start despite claims that were never released. A writer that
 * is still running does not notice; the next one fences it as usual.
 *
 * @returns 0, even if no claim is locked
 */
export async function unlock(
  context: CommandContext,
  operands: readonly string[],
  rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const flags = parseFlags(unlockFlags, rawFlags)
  const { output, signal } = context
  const [name] = operands
  if (name === undefined) throw new UsageError('No replica was named.', 'Give its name.')
  const opened = await context.openStore(flags.bucket, { signal, create: false })
  const prefix = prefixOf(name)
  const store = replicaStore(opened, prefix)
  const objects = await listEpochs(store, { signal })
  if (objects.length === 0) await assertReplicas([{ name, prefix }], opened, signal)
  const unlocked: Unlocked[] = []
  const lines: string[] = []
  for (const epoch of claimState(objects).locked) {
    const claim = await readClaim(store, epoch, { signal })
    await writeUnlock(store, { epoch, at: new Date(), host: hostname() }, { signal })
    const { host, pid, startedAt } = claim ?? {}
    unlocked.push({ epoch, host, pid, startedAt })
    lines.push(`${name}: unlocked ${describeHolder(epoch, claim)}`)
  }
  const text = lines.length === 0 ? `${name}: no claim is locked` : lines.join('\n')
  output.result({ name, unlocked }, text)
  return 0
}

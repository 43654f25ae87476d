import { compactLtx } from '../ltx/index.ts'
import type { LtxFileInfo, ReplicaClient } from '../replica/replica-client.ts'
import { isStoreError } from '../store/index.ts'
import { type CompactionInput, openInputs } from './compaction-inputs.ts'
import { CompactionError, explainFailure } from './diagnose-failure.ts'
import type { CompactionStep } from './plan-compaction.ts'

export interface RunCompactionOptions {
  readonly signal: AbortSignal
  /** Identifies the process in the file that it writes. */
  readonly nodeId: bigint
}

/**
 * Merges the files of a step and stores the result, create-only: if it exists already, another
 * process has done the same. The inputs stay. Reads and writes at the same time; only a piece of
 * each input is in memory, 16 MiB in total, and at most 32 MiB of pages.
 *
 * If the page size changes between inputs because the database was replaced, the files on either
 * side are merged separately.
 *
 * @returns the files that are now in the store; empty if no two neighbouring inputs can be merged
 * @throws CompactionError that names the object that prevents the merge
 * @throws StoreError; the signal's reason
 */
export async function runCompaction(
  client: ReplicaClient,
  step: CompactionStep,
  { signal, nodeId }: RunCompactionOptions,
): Promise<LtxFileInfo[]> {
  const stored: LtxFileInfo[] = []
  try {
    const inputs = await openInputs(client, step.files, signal)
    for (const run of runsOfOnePageSize(inputs)) {
      if (run.length < 2) continue
      const file = await merge(client, step.level, run, nodeId, signal)
      if (file !== undefined) stored.push(file)
    }
    return stored
  } catch (error) {
    throw await explainFailure(client, step.files, error, signal)
  }
}

function runsOfOnePageSize(inputs: readonly CompactionInput[]): CompactionInput[][] {
  const runs: CompactionInput[][] = []
  for (const input of inputs) {
    const run = runs.at(-1)
    if (run?.[0]?.header.pageSize === input.header.pageSize) run.push(input)
    else runs.push([input])
  }
  return runs
}

/** @returns `undefined` if another process stored the file and it is gone again */
async function merge(
  client: ReplicaClient,
  level: number,
  inputs: readonly CompactionInput[],
  nodeId: bigint,
  signal: AbortSignal,
): Promise<LtxFileInfo | undefined> {
  const { minTxid } = (inputs[0] as CompactionInput).header
  const { file: last, header: newest } = inputs.at(-1) as CompactionInput
  const createdAt = new Date(newest.timestamp)
  if (Number.isNaN(createdAt.getTime())) throw impossibleTime(last)
  const body = {
    open: () =>
      compactLtx(
        inputs.map((input) => input.chunks(signal)),
        { nodeId, signal },
      ),
  }
  try {
    return await client.put(level, minTxid, newest.maxTxid, body, { createdAt, signal })
  } catch (error) {
    if (!isStoreError(error) || error.code !== 'AlreadyExists') throw error
    return await client.head(level, minTxid, newest.maxTxid, { signal })
  }
}

function impossibleTime({ key }: LtxFileInfo): CompactionError {
  const message = `The object ${key} has a time that no store can represent.`
  return new CompactionError('Unmergeable', key, message)
}

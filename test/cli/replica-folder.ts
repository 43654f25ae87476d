import { join } from 'node:path'
import { FileObjectStore } from '../../src/backends/file/index.ts'
import { encodeLtx, txid } from '../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../src/core/replica/replica-client.ts'
import { filled, makeHeader } from '../core/ltx/ltx-samples.ts'

/** The replica `name` in a folder store, for tests that make its files themselves. */
export function replicaIn(root: string, name: string): ReplicaClient {
  return new ReplicaClient(new FileObjectStore({ root: join(root, name) }), 'ltx')
}

/** Stores transactions of a database of one page, each at its own time; TXID 1 as a full copy. */
export async function putTransactions(
  client: ReplicaClient,
  times: readonly number[],
): Promise<void> {
  for (const [i, time] of times.entries()) {
    const id = txid(i + 1)
    const header = makeHeader({ minTxid: id, maxTxid: id, timestamp: time })
    const bytes = encodeLtx(header, [filled(1, i + 1)])
    await client.put(i === 0 ? 9 : 0, id, id, bytes, { createdAt: new Date(time) })
  }
}

/** `level:min-max` of all its files. */
export async function filesOf(client: ReplicaClient): Promise<string[]> {
  const files = await client.list()
  return files.map(({ level, minTxid, maxTxid }) => `${level}:${minTxid}-${maxTxid}`)
}

import { setTimeout as delay } from 'node:timers/promises'
import { FileObjectStore } from '../../../src/backends/file/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../../src/core/restore/restore.ts'

// Restores over an existing file, prints a line a step, and waits to be killed.
const [root, output] = process.argv.slice(2) as [string, string]
const client = new ReplicaClient(new FileObjectStore({ root }), 'ltx')
console.log('start')
await restoreReplica(client, { kind: 'latest' }, output, {
  force: true,
  onProgress: ({ phase, filesDone }) => console.log(phase, filesDone),
})
console.log('end')
await delay(60_000)

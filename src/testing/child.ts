import { isStoreError, type ObjectStore } from '../core/store/index.ts'
import type { ChildJob } from './child-client.ts'
import type { ContractChild, ContractChildModule } from './harness.ts'

type Task = ContractChild & ChildJob & { readonly prefix: string; readonly index: number }

const task = JSON.parse(process.argv[2] ?? '') as Task
const { openStore } = (await import(task.module)) as ContractChildModule
const store = await openStore(task.prefix, task.data)
const report = task.job === 'race' ? await race(store, task.rounds) : await touch(store)
await store.close()
process.stdout.write(`${JSON.stringify(report)}\n`)

/** Tries to create the same keys as its siblings; reports the rounds it won. */
async function race(store: ObjectStore, rounds: number): Promise<number[]> {
  const won: number[] = []
  const body = new TextEncoder().encode(`child ${task.index}`)
  for (let round = 0; round < rounds; round++) {
    try {
      await store.put(`race/${round}`, body, { ifAbsent: true })
      won.push(round)
    } catch (error) {
      if (!isStoreError(error) || error.code !== 'AlreadyExists') throw error
    }
  }
  return won
}

async function touch(store: ObjectStore): Promise<boolean> {
  await store.put('k', new Uint8Array(100_000))
  for await (const _ of (await store.get('k')).body) break
  for await (const _ of store.list()) break
  return (await store.head('k')) !== undefined
}

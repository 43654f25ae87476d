import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { isStoreError, type ObjectStore } from '../core/store/index.ts'
import type { ChildJob } from './child-client.ts'
import type { ContractChild, ContractChildModule } from './harness.ts'

type Task = ContractChild & ChildJob & { readonly prefix: string; readonly index: number }

const ROUND_MS = 20

const task = JSON.parse(process.argv[2] ?? '') as Task
const { openStore } = (await import(task.module)) as ContractChildModule
const store = await openStore(task.prefix, task.data)
process.stdout.write('ready\n')
const startAt = Number(await text(process.stdin))
const report = task.job === 'race' ? await race(store, task.rounds) : await touch(store)
await store.close()
process.stdout.write(`${JSON.stringify(report)}\n`)

/** Tries to create the same keys as its siblings; reports the rounds it won. */
async function race(store: ObjectStore, rounds: number): Promise<number[]> {
  const won: number[] = []
  const body = new TextEncoder().encode(`child ${task.index}`)
  for (let round = 0; round < rounds; round++) {
    // In step with the siblings: otherwise one would finish before the next has begun.
    await sleep(Math.max(0, startAt + round * ROUND_MS - Date.now()))
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

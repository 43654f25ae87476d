import { expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { readAll } from '../../../src/core/store/bytes.ts'

/** Chunks that a source reads into the same memory, as a `Buffer`: its `slice` is not a copy. */
async function* chunks(): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(3)
  for (const text of ['one', 'two', 'six']) {
    memory.write(text)
    yield memory
  }
}

it('a store in memory keeps what a chunk was, not what it becomes', async () => {
  const store = new MemoryObjectStore()
  await store.put('key', { size: 9, open: chunks })
  expect(Buffer.from(await readAll((await store.get('key')).body)).toString()).toBe('onetwosix')
})

it('a body is read as its chunks were', async () => {
  expect(Buffer.from(await readAll(chunks())).toString()).toBe('onetwosix')
})

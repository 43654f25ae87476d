import { FileObjectStore } from '../../../src/backends/file/index.ts'
import { isStoreError, readAll } from '../../../src/core/store/index.ts'

const [job, root = '', round = '0'] = process.argv.slice(2)
const store = new FileObjectStore({ root })

const jobs: Record<string, () => Promise<void>> = {
  check: () => store.check(),
  get: async () => {
    await readAll((await store.get('k')).body)
  },
  put: async () => {
    await store.put('new', new Uint8Array(1))
  },
  loop,
}

try {
  await jobs[job ?? '']?.()
  process.stdout.write('ok')
} catch (error) {
  process.stdout.write(isStoreError(error) ? error.code : String(error))
}

/** Overwrites one key and creates others until it is killed; says what was acknowledged. */
async function loop(): Promise<void> {
  for (let i = 1; ; i++) {
    const over = `over/${round}`
    const value = i % 250
    await store.put(over, new Uint8Array(1000 * (1 + (i % 3))).fill(Math.min(i, 250)))
    process.stdout.write(`${over} ${Math.min(i, 250)}\n`)
    const fresh = `fresh/${round}/${i}`
    await store.put(fresh, new Uint8Array(2000).fill(value), { ifAbsent: true })
    process.stdout.write(`${fresh} ${value}\n`)
  }
}

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type * as Api from '../../src/api/index.ts'
import { Bed } from '../kit/bed.ts'
import { minioPlace, type Place } from '../kit/places.ts'
import type { Program } from '../kit/programs.ts'
import { putsIntoFolder, putsIntoMinio } from '../kit/puts.ts'
import { type Bench, Samples, type Section } from '../kit/section.ts'

const WAITERS = 100

/** What waits until a commit is in the store. */
interface Waiting extends AsyncDisposable {
  wait(): Promise<unknown>
  sync(): Promise<unknown>
}

/**
 * An application that waits for its commit, by the library and by the socket: single commits with
 * pauses of 0.4 to 1.7 s, commits one after the other with `sync`, and 100 waiters at once. Litestream
 * has no such thing.
 */
export const wait: Section = {
  name: 'wait',
  about: 'wait() after each commit, by library and socket, folder and MinIO; 100 waiters at once',
  async run(bench) {
    const server = await bench.minio()
    const folderPuts = await putsIntoFolder()
    const minioPuts = server === undefined ? [] : await putsIntoMinio(server)
    for (const [kind, open] of [
      ['library', openLibrary],
      ['socket', openSocket],
    ] as const) {
      await measure(bench, `${kind}, folder`, open, undefined, { puts: folderPuts, target: 6 })
      if (server === undefined) continue
      const place = minioPlace(server, `wait-${kind}`)
      await measure(bench, `${kind}, MinIO`, open, place, { puts: minioPuts, target: 12 })
    }
  },
}

async function measure(
  bench: Bench,
  kind: string,
  open: (bed: Bed, program: Program) => Promise<Waiting>,
  place: Place | undefined,
  { puts: onePut, target }: { readonly puts: readonly number[]; readonly target: number },
): Promise<void> {
  const [paused, inARow, puts] = [new Samples(), new Samples(), new Samples()]
  for (const program of bench.programs) {
    if (program.dist === undefined) continue
    bench.say(`${kind}: ${program.name}`)
    await using bed = new Bed({ place })
    await using waiting = await open(bed, program)
    await delay(3000)
    const db = new DatabaseSync(bed.path, { timeout: 5000 })
    db.exec('PRAGMA synchronous = NORMAL')
    const insert = db.prepare('INSERT INTO start VALUES (?)')
    const timed = async (answer: () => Promise<unknown>) => {
      insert.run(1)
      const committedAt = performance.now()
      await answer()
      return performance.now() - committedAt
    }
    for (let i = 0; i < (bench.quick ? 4 : 40); i++) {
      await delay(400 + Math.random() * 1300)
      paused.add(program.name, await timed(() => waiting.wait()))
    }
    for (let i = 0; i < (bench.quick ? 10 : 100); i++) {
      inARow.add(program.name, await timed(() => waiting.sync()))
    }
    await delay(3000)
    const before = bed.objects('app', [0]).length
    const commitAndWait = async () => {
      insert.run(2)
      await waiting.wait()
    }
    await Promise.all(Array.from({ length: WAITERS }, commitAndWait))
    puts.add(program.name, bed.objects('app', [0]).length - before)
    db.close()
  }
  const limit = { what: 'one PUT', samples: onePut }
  const work = `wait() after each commit, ${kind}`
  const row = { work, unit: 'ms', samples: paused.all, limit } as const
  bench.add({ ...row, figure: 'p50', target })
  bench.add({ ...row, figure: 'p90', quantile: 0.9 })
  const syncs = { work: `sync() after each commit, no pause, ${kind}`, samples: inARow.all }
  bench.add({ ...syncs, figure: 'p50', unit: 'ms', limit })
  const waiters = `${WAITERS} waiters at once, ${kind}`
  bench.add({ work: waiters, figure: 'PUTs', unit: '', samples: puts.all, target: 3 })
}

async function openLibrary(bed: Bed, { dist }: Program): Promise<Waiting> {
  const path = pathToFileURL(join(dist as string, 'api/index.js')).href
  const { replicate } = (await import(path)) as typeof Api
  const env = { ...process.env, ...bed.place.env }
  const replica = await replicate(bed.path, `${bed.place.url}/app`, { env })
  return {
    wait: () => replica.wait(),
    sync: () => replica.sync(),
    [Symbol.asyncDispose]: () => replica.stop(),
  }
}

async function openSocket(bed: Bed, program: Program): Promise<Waiting> {
  const path = join(bed.folder, 'control.sock')
  await bed.watch(program, ['--socket', path])
  const socket = connect(path)
  await once(socket, 'connect')
  const ask = requests(socket)
  return {
    wait: () => ask('wait'),
    sync: () => ask('sync'),
    async [Symbol.asyncDispose]() {
      socket.destroy()
      await bed.stop()
    },
  }
}

/** A client of the control protocol, as any language would have it. */
function requests(socket: Socket): (method: string) => Promise<void> {
  const open = new Map<number, PromiseWithResolvers<void>>()
  createInterface({ input: socket }).on('line', (line) => {
    const { id, error } = JSON.parse(line) as { id: number; error?: { message: string } }
    const request = open.get(id)
    open.delete(id)
    if (error === undefined) request?.resolve()
    else request?.reject(new Error(error.message))
  })
  let last = 0
  return (method) => {
    const id = ++last
    const request = Promise.withResolvers<void>()
    open.set(id, request)
    socket.write(`${JSON.stringify({ v: 1, id, method })}\n`)
    return request.promise
  }
}

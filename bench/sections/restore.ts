import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Bed, secondsOf } from '../kit/bed.ts'
import { makeFilled } from '../kit/filler.ts'
import { makeHistory } from '../kit/history.ts'
import { minioPlace, type Place } from '../kit/places.ts'
import { type Bench, Samples, type Section } from '../kit/section.ts'

interface Replica {
  readonly megabytes: number
  readonly files: number
  readonly rowsOfChange: number
  readonly rounds: number
  /** Seconds. */
  readonly target: number
}

const SMALL: Replica = { megabytes: 7.6, files: 20, rowsOfChange: 10, rounds: 9, target: 0.12 }
const HISTORY: Replica = { megabytes: 164, files: 175, rowsOfChange: 50, rounds: 5, target: 0.3 }

/** Restores of a replica that walsync wrote, by each program and by `cp`, in turns; files are in the page cache. */
export const restore: Section = {
  name: 'restore',
  about: '7.6 MB of 20 files from a folder and from MinIO, 164 MB of 175 files from a folder',
  async run(bench) {
    await measure(bench, SMALL, undefined)
    const server = await bench.minio()
    if (server !== undefined) {
      await measure(bench, { ...SMALL, target: 0.18 }, minioPlace(server, 'restore'))
    }
    const less = { ...HISTORY, megabytes: 20, files: 30, rounds: 1 }
    await measure(bench, bench.quick ? less : HISTORY, undefined)
  },
}

async function measure(bench: Bench, replica: Replica, place: Place | undefined): Promise<void> {
  const { megabytes, files, rowsOfChange, target } = replica
  const [walsync] = bench.programs
  if (walsync?.dist === undefined) throw new Error('walsync has to write the replica')
  await using bed = new Bed({
    place,
    databases: (folder) => {
      makeFilled(join(folder, 'app.db'), megabytes)
      return [join(folder, 'app.db')]
    },
  })
  const work = `restore ${megabytes} MB, ${files} files, ${bed.place.kind}`
  bench.say(`${work}: writing the replica`)
  await makeHistory(bed, walsync, files, rowsOfChange)
  await restores(bench, bed, { work, rounds: bench.quick ? 1 : replica.rounds }, target, target)
}

/** Adds a row for restores without and with an integrity check. */
export async function restores(
  bench: Bench,
  bed: Bed,
  { work, rounds }: { readonly work: string; readonly rounds: number },
  target: number | undefined,
  targetWithCheck: number | undefined,
): Promise<void> {
  const copies: number[] = []
  const samples = { none: new Samples(), full: new Samples() }
  const output = join(bed.folder, 'restored.db')
  // The first round fills the caches.
  for (let round = 0; round <= rounds; round++) {
    bench.say(`${work}: round ${round} of ${rounds}`)
    const isCounted = round > 0
    const sync = `cp '${bed.path}' '${output}' && sync '${output}'`
    const seconds = await secondsOf('sh', ['-c', sync])
    if (isCounted) copies.push(seconds)
    rmSync(output)
    for (const integrityCheck of ['none', 'full'] as const) {
      for (const program of bench.programs) {
        const options = { integrityCheck, folder: bed.folder }
        const { command, args } = program.restore('app', bed.place, output, options)
        const took = await secondsOf(command, args, bed.place.env)
        if (statSync(output).size !== statSync(bed.path).size) {
          throw new Error(`${program.name} restored another size`)
        }
        if (isCounted) samples[integrityCheck].add(program.name, took)
        rmSync(output)
      }
    }
  }
  const limit = { what: 'cp, fsync', samples: copies }
  const row = { work, unit: 's', limit } as const
  bench.add({ ...row, figure: 'no check', samples: samples.none.all, target })
  bench.add({ ...row, figure: 'full check', samples: samples.full.all, target: targetWithCheck })
}

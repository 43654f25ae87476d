import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { Bed } from '../kit/bed.ts'
import { minioPlace, type Place } from '../kit/places.ts'
import type { Program } from '../kit/programs.ts'
import { putsIntoFolder, putsIntoMinio } from '../kit/puts.ts'
import { type Bench, Samples, type Section } from '../kit/section.ts'

/**
 * Single commits after pauses of 0.4 to 1.7 s: from the end of COMMIT to the finished object, by the
 * time that the file system keeps (of MinIO's folder, too). The pause begins with the object, so that
 * no two commits share one. The limit is one durable PUT of the same size by this process.
 */
export const lag: Section = {
  name: 'lag',
  about: 'single commits every 0.4 to 1.7 s until their objects are finished, folder and MinIO',
  async run(bench) {
    await measure(bench, 'folder', () => undefined, putsIntoFolder, { p50: 8, p90: 20 })
    const server = await bench.minio()
    if (server === undefined) return bench.say('MinIO is not installed: npm run servers')
    const place = (prefix: string) => minioPlace(server, prefix)
    await measure(bench, 'MinIO', place, () => putsIntoMinio(server), { p50: 10, p90: 20 })
  },
}

async function measure(
  bench: Bench,
  kind: string,
  place: (prefix: string) => Place | undefined,
  limit: () => Promise<number[]>,
  target: { readonly p50: number; readonly p90: number },
): Promise<void> {
  const [rounds, commits] = bench.quick ? [1, 4] : [2, 20]
  const [lags, puts] = [new Samples(), new Samples()]
  for (let round = 1; round <= rounds; round++) {
    for (const program of bench.programs) {
      bench.say(`${kind}, round ${round} of ${rounds}: ${program.name}`)
      const bed = new Bed({ place: place(`lag-${program.name}-${round}`) })
      await using _ = bed
      const { lagsMs, putsAnHour } = await lagsOf(bed, program, commits)
      lags.add(program.name, ...lagsMs)
      puts.add(program.name, putsAnHour)
    }
  }
  const work = `single commits every 0.4 to 1.7 s, ${kind}`
  const best = { what: 'one PUT', samples: await limit() }
  const row = { work, unit: 'ms', samples: lags.all, limit: best } as const
  bench.add({ ...row, figure: 'lag p50', target: target.p50 })
  bench.add({ ...row, figure: 'lag p90', quantile: 0.9, target: target.p90 })
  bench.add({ work, figure: 'PUTs an hour', unit: '', samples: puts.all, target: 3600 })
}

async function lagsOf(bed: Bed, program: Program, commits: number) {
  await bed.watch(program)
  await delay(3000)
  const db = new DatabaseSync(bed.path, { timeout: 5000 })
  db.exec('PRAGMA synchronous = NORMAL')
  const insert = db.prepare('INSERT INTO start VALUES (?)')
  const before = new Set(bed.objects())
  const [seen, lagsMs, startedAt] = [new Set(bed.objects('app', [0])), [] as number[], now()]
  for (let i = 0; i < commits; i++) {
    await delay(400 + Math.random() * 1300)
    insert.run(i)
    const committedAt = now()
    lagsMs.push(Math.max(0, (await nextObject(bed, seen)) - committedAt))
  }
  db.close()
  const hours = (now() - startedAt) / 3_600_000
  const made = bed.objects().filter((path) => !before.has(path)).length
  return { lagsMs, putsAnHour: made / hours }
}

/** When the next object of level 0 was finished, in milliseconds since 1970. */
async function nextObject(bed: Bed, seen: Set<string>): Promise<number> {
  const deadline = now() + 30_000
  for (;;) {
    const found = bed.objects('app', [0]).find((path) => !seen.has(path))
    if (found !== undefined) {
      seen.add(found)
      return statSync(found).ctimeMs
    }
    if (now() > deadline) throw new Error('a commit was not replicated within 30 s')
    await delay(2)
  }
}

function now(): number {
  return performance.timeOrigin + performance.now()
}

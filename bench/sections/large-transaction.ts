import { fileURLToPath } from 'node:url'
import { Bed, outputOf } from '../kit/bed.ts'
import { Samples, type Section } from '../kit/section.ts'

const WRITER = fileURLToPath(new URL('../kit/large-writer.ts', import.meta.url))

/** A transaction as large as a migration, and what the commits that follow it wait for. */
export const largeTransaction: Section = {
  name: 'large-transaction',
  about: 'a transaction of 600 MB, then a commit every 10 ms: the longest of them, memory',
  async run(bench) {
    const [megabytes, rounds, seconds] = bench.quick ? [40, 1, 3] : [600, 3, 20]
    const [longest, peak] = [new Samples(), new Samples()]
    const alone: number[] = []
    for (let round = 1; round <= rounds; round++) {
      bench.say(`round ${round} of ${rounds}`)
      await using free = new Bed()
      alone.push(await longestOf(free, megabytes, seconds))
      for (const program of bench.programs) {
        await using bed = new Bed()
        await bed.watch(program)
        const idle = bed.usage().rssMb
        longest.add(program.name, await longestOf(bed, megabytes, seconds))
        peak.add(program.name, bed.usage().peakMb - idle)
      }
    }
    const work = `a transaction of ${megabytes} MB`
    const limit = { what: 'alone', samples: alone }
    bench.add({
      work,
      figure: 'longest commit after it',
      unit: 'ms',
      samples: longest.all,
      limit,
      target: 200,
    })
    bench.add({ work, figure: 'peak RSS above idle', unit: 'MB', samples: peak.all, target: 67 })
  },
}

async function longestOf(bed: Bed, megabytes: number, seconds: number): Promise<number> {
  const text = await outputOf(process.execPath, [
    WRITER,
    bed.path,
    String(megabytes),
    String(seconds),
  ])
  return (JSON.parse(text) as { max: number }).max
}

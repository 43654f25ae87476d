import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Bed, secondsOf } from '../kit/bed.ts'
import { makeFilled } from '../kit/filler.ts'
import { Samples, type Section } from '../kit/section.ts'
import { restores } from './restore.ts'

/** The first copy of a large database by each program, then restores of the one that walsync made. */
export const large: Section = {
  name: 'large',
  about: '1.6 GB: first copy, and restores without and with an integrity check',
  async run(bench) {
    const [megabytes, rounds] = bench.quick ? [40, 1] : [1600, 3]
    const folder = mkdtempSync(join(tmpdir(), 'walsync-bench-'))
    const original = join(folder, 'app.db')
    const size = bench.quick ? `${megabytes} MB` : '1.6 GB'
    try {
      bench.say(`making a database of ${size}`)
      makeFilled(original, megabytes)
      const copyOf = (path: string) => {
        copyFileSync(original, join(path, 'app.db'))
        return [join(path, 'app.db')]
      }
      const [time, cpu, peak] = [new Samples(), new Samples(), new Samples()]
      const copies: number[] = []
      for (let round = 1; round <= rounds; round++) {
        const copy = join(folder, 'copy.db')
        copies.push(await secondsOf('sh', ['-c', `cp '${original}' '${copy}' && sync '${copy}'`]))
        rmSync(copy)
        for (const program of bench.programs) {
          bench.say(`first copy, round ${round} of ${rounds}: ${program.name}`)
          await using bed = new Bed({ databases: copyOf })
          // What is still to be written back is not this program's work.
          await secondsOf('sync', [bed.path])
          const startedAt = performance.now()
          await bed.watch(program)
          time.add(program.name, (performance.now() - startedAt) / 1000)
          const { peakMb, cpuSeconds } = bed.usage()
          peak.add(program.name, peakMb)
          cpu.add(program.name, cpuSeconds)
        }
      }
      const work = `first copy of ${size}`
      const limit = { what: 'cp, fsync', samples: copies }
      bench.add({ work, figure: 'time', unit: 's', samples: time.all, limit, target: 3.5 })
      bench.add({ work, figure: 'CPU', unit: 's', samples: cpu.all })
      bench.add({ work, figure: 'peak RSS', unit: 'MB', samples: peak.all, target: 120 })

      const [walsync] = bench.programs
      if (walsync?.dist === undefined) return
      await using bed = new Bed({ databases: copyOf })
      await bed.watch(walsync)
      await bed.stop()
      await restores(bench, bed, { work: `restore ${size}`, rounds }, 2.5, 4.5)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

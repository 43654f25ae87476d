import { statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Bed } from '../kit/bed.ts'
import { Samples, type Section } from '../kit/section.ts'

/** One writer that commits as fast as it can, alone and beside each program, in turns. */
export const fullSpeed: Section = {
  name: 'full-speed',
  about: 'a writer at full speed for 10 s: its speed against alone, memory, WAL',
  async run(bench) {
    const [rounds, seconds] = bench.quick ? [1, 3] : [3, 10]
    const [speed, peak, wal] = [new Samples(), new Samples(), new Samples()]
    const [longest, last] = [new Samples(), new Samples()]
    const aloneMax: number[] = []
    for (let round = 1; round <= rounds; round++) {
      bench.say(`round ${round} of ${rounds}`)
      await using free = new Bed()
      const alone = await free.write(0, seconds)
      aloneMax.push(alone.max)
      for (const program of bench.programs) {
        await using bed = new Bed()
        await bed.watch(program)
        await delay(2000)
        let largest = 0
        const sampler = setInterval(() => {
          const size = statSync(`${bed.path}-wal`, { throwIfNoEntry: false })?.size ?? 0
          largest = Math.max(largest, size)
        }, 20)
        const beside = await bed.write(0, seconds)
        const endedAt = Date.now()
        await delay(4000)
        clearInterval(sampler)
        const newest = Math.max(...bed.objects('app', [0]).map((path) => statSync(path).ctimeMs))
        const ratio = beside.commits / beside.seconds / (alone.commits / alone.seconds)
        speed.add(program.name, ratio)
        peak.add(program.name, bed.usage().peakMb)
        wal.add(program.name, largest / 1e6)
        longest.add(program.name, beside.max)
        last.add(program.name, Math.max(0, newest - endedAt) / 1000)
      }
    }
    const work = `full speed for ${seconds} s`
    bench.add({
      work,
      figure: "writer's speed",
      unit: '×',
      samples: speed.all,
      limit: { what: 'alone', samples: [1] },
      target: 0.95,
      better: 'more',
    })
    bench.add({ work, figure: 'peak RSS', unit: 'MB', samples: peak.all, target: 120 })
    bench.add({ work, figure: 'largest WAL', unit: 'MB', samples: wal.all })
    bench.add({
      work,
      figure: 'longest commit',
      unit: 'ms',
      samples: longest.all,
      limit: { what: 'alone', samples: aloneMax },
    })
    bench.add({ work, figure: 'last object after the end', unit: 's', samples: last.all })
  },
}
